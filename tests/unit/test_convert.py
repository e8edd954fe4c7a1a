"""``gworkers convert``: single options, uWSGI's dialect of INI, and files that cannot be converted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gworkers.convert.command_line import main
from support.converted import Converted
from support.paths import ROOT

pytestmark = pytest.mark.smoke


@pytest.fixture
def convert(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    def run(text: str, name: str = "uwsgi.ini", *, section: bool = True) -> Converted:
        file = tmp_path / name
        file.write_text(f"[uwsgi]\n{text}" if section else text)
        assert main([str(file)]) == 0
        return Converted(*capfd.readouterr())
    return run


def test_ordinary_configuration(convert: Any) -> None:
    found = convert("http = 127.0.0.1:8000\nmodule = site.wsgi\nmaster = true\nprocesses = 4\nvacuum = true\n")
    settings = found.settings()
    assert settings["bind"] == ["127.0.0.1:8000"]
    assert settings["wsgi_app"] == "site.wsgi:application"
    assert settings["workers"] == 4
    assert settings["worker_class"] == "gworkers.GeventWorker"
    assert found.notes == ""
    assert "# Need nothing here: master, vacuum." in found.text


@pytest.mark.parametrize("value", [
    '"; import os; os._exit(3) #', "'\"\"\"\\", "\\", "\\\"", "{__import__('os')._exit(3)}", "%(x)s",
    "\u2028x\x0c\x85y", "\x1b]0;x\x07", "\N{GRINNING FACE}", "\\N{DIGIT ONE}", "\rimport y"])
@pytest.mark.parametrize("option", [
    "chdir", "env", "module", "http", "uid", "pythonpath", "logto", "log-format", "stats", "mount", "wsgi-file",
    "if-env", "virtualenv", "unheard-of", "plugins", "https"])
def test_values_remain_text(convert: Any, option: str, value: str) -> None:
    found = convert(f"{option} = {value}\nprocname = \"$({value})\nx{value} = 1\nendif=\n")
    assert not set(found.text) & set("\x1b\x07\x0c\x85\u2028\r")
    for line in found.text.splitlines():
        assert line == "" or line.isprintable()
    names = found.settings(**{value: "z"})
    if option == "chdir":
        assert names["chdir"] == value.strip()


def doubled(line: bytes) -> bytes:
    """Lines of which each one uses the previous one twice."""
    return b"".join(line % (number, number - 1, number - 1) for number in range(1, 40))


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no options in a section [uwsgi]"),
    (b"[other]\nhttp = :1\n", "no options in a section [uwsgi]"),
    (b"[uwsgi]\n", "no options in a section [uwsgi]"),
    (bytes(range(256)) * 10, "not text in UTF-8"),
    (b"[uwsgi]\nhttp = \0\n", "not text in UTF-8"),
    (b"[uwsgi]\n" + b"a = 1\n" * 300_000, "larger than"),
    (b"[uwsgi]\nini = :uwsgi\n", "includes itself"),
    (b"[uwsgi]\nini = :a\n[a]\nini = :b\n[b]\nini = :a\n", "includes itself"),
    (b"[uwsgi]\ninclude = missing.ini\n", "missing.ini cannot be read: No such file or directory"),
    (b"[uwsgi]\n" + b"include = a.ini\n" * 501, "includes more than 500 files"),
    (b"[uwsgi]\na0 = aaaa\n" + doubled(b"a%d = %%(a%d)%%(a%d)\n"), "more than 4194304 characters"),
    (b"[uwsgi]\na0 = 9\n" + doubled(b"a%d = %%(a%d * a%d)\n"), "more than 4194304 characters"),
    (b"[uwsgi]\nfor-times = 9999\na = 1\na = 2\nendfor=\n", "more than 10000 options"),
])
def test_files_that_cannot_be_converted(tmp_path: Path, capfd: Any, content: bytes, message: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("uwsgi.ini").write_bytes(content)
    Path("a.ini").write_text("[uwsgi]\na = 1\n")
    assert main(["uwsgi.ini"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gworkers convert: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("name", "message"), [
    (".", "it is a directory"), ("none.ini", "No such file"), ("fifo", "it is a FIFO"), ("/dev/null", "it is a device"),
    ("a\0b", "null")])
def test_paths_that_are_no_file(tmp_path: Path, capfd: Any, name: str, message: str,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    assert main([name]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


def test_stdin_is_read() -> None:
    done = subprocess.run([sys.executable, "-m", "gworkers", "convert", "-"], input="[uwsgi]\nworkers = 3\n", text=True,
                          capture_output=True, check=True)
    assert "\nworkers = 3\n" in done.stdout
    assert "wsgi_app" in done.stderr


SAME = {
    "site.ini": "[other]\na = 1\n[uwsgi]\nhttp-socket = :80\npp = a b\nmaster\npp = c\nmodule = m\n"
                "[other]\nworkers = 9\n",
    "site.yml": "---\n# uWSGI\nuwsgi:\n  http-socket: ':80'  # the port\n  pp:\n    - a b\n    - c\n"
                "  master: true\n  module: m\nother:\n  workers: 9\n",
    "flow.yml": "uwsgi:\n  http-socket: ':80'\n  pp: ['a b', \"c\"]\n  master: true\n  module: [ m ]\n",
    "site.json": '{"other": {"workers": 9}, '
                 '"uwsgi": {"http-socket": ":80", "pp": ["a b", "c"], "master": true, "module": "m"}}',
    "site.xml": "<?xml version='1.0' encoding='utf-8'?><a><uwsgi id='1'><!-- a port --><http-socket>:80</http-socket>"
                "<pp>a\n b</pp><master/></uwsgi><other><workers>9</workers></other>"
                "<uwsgi><pp>c</pp><module>m</module></uwsgi></a>",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_formats_have_the_same_meaning(convert: Any, name: str) -> None:
    found = convert(SAME[name], name, section=False)
    settings = found.settings()
    assert {key: settings[key] for key in found.assigned} == {
        "wsgi_app": "m:application", "pythonpath": "a b,c", "bind": ["0.0.0.0:80"],
        "worker_class": "gworkers.GeventWorker", "accesslog": "-"}
    assert found.noted == ["http-socket"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.json", "{", "is not JSON"), ("a.json", "[]", "no options"), ("a.json", "[" * 100_000, "is not JSON"),
    ("a.json", '{"uwsgi": 1}', "no options"), ("a.json", '{"other": {}}', "no options"),
    ("a.xml", "<", "is not XML"), ("a.xml", "<a/>", "no options"), ("a.xml", "<uwsgi/>", "no options"),
    ("a.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><uwsgi><x>&a;</x></uwsgi>', "document type"),
    ("a.yml", "other:\n  a: 1\n", "no options"), ("a.yml", ": [}{", "no options"),
])
def test_other_formats_that_are_invalid(tmp_path: Path, capfd: Any, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    assert main([str(tmp_path / name)]) == 2
    assert message in capfd.readouterr().err


def test_section_is_selected(tmp_path: Path, capfd: Any) -> None:
    file = tmp_path / "a.ini"
    file.write_text("[uwsgi]\nworkers = 1\n[test]\nini = :common\nworkers = 2\n[common]\nprocname = %x\n")
    assert main([f"{file}:test"]) == 0
    found = Converted(*capfd.readouterr())
    assert found.settings()["workers"] == 2
    assert found.settings()["proc_name"] == "common"


def test_stdin_may_include_its_own_sections() -> None:
    text = "[uwsgi]\nini = :b\n[b]\nworkers = 3\n"
    done = subprocess.run([sys.executable, "-m", "gworkers", "convert", "-"], input=text, text=True,
                          capture_output=True, check=True)
    assert "\nworkers = 3\n" in done.stdout


@pytest.mark.parametrize(("text", "note"), [
    ("no_such_option = 1", "This option is unknown"),
    ("max_requests = 5", "uWSGI ignores this spelling of max-requests"),
    ("processes = many", "'many' is not a number"),
    ("chmod-socket = 999", "'999' is not a file mode"),
    ("http =", "the address is empty"),
    ("cron = every day", "five numbers"),
    ("cron = 1 2 3 4 x y", "'x' is not a number"),
    ("cron = 1 2 3 4 5", "five numbers"),
    ("cron = $(A) 2 3 4 5 x", "five numbers"),
    ("buffer-size = 0x10000", "a buffer of 0 bytes"),
    ("http = :80", "forwarded_allow_ips"),
    ("pidfile = /a\nsafe-pidfile = /b", "Gunicorn writes one pidfile, the last of these options"),
    ("log-encoder = json {}", "access_log_json"),
    ("umask = 9", "The value is wrong"),
    ("include = $(FILE)", "The included file depends on the environment"),
    ("for = $(LIST)\npp = %(_)\nendfor", "The loop depends on the environment"),
    ("for-readline = list\npp = %(_)\nendfor", "The loop depends on the environment or on a file"),
    ("if-plugin = python\nworkers = 2\nendif", "converted as if it applied"),
    ("procname = @(exec://id)", "Replace this placeholder by its value"),
    ("module = a\nmount = /x=b", "Gunicorn serves one application"),
    ("wsgi-file = my.site.py", "is not the name of a module"),
    ("log-format = %(nothing)", "The access log has no nothing"),
])
def test_what_cannot_be_converted_has_a_note(convert: Any, text: str, note: str) -> None:
    found = convert(text)
    assert note in " ".join(found.notes.split())
    assert found.text.splitlines()[-1].startswith("# ")
    found.settings(FILE="x", LIST="x")


def test_variables_have_no_note(convert: Any) -> None:
    assert "unknown" not in convert("base = /srv\nchdir = %(base)\nset-ph = x=1\n").notes


def test_same_note_names_all_options(convert: Any) -> None:
    found = convert("module = a\nstatic-map = /a=/b\nstatic-map = /c=/d\ncheck-static = /e\n")
    assert found.noted == ["static-map", "check-static"]
    assert found.notes.count("WhiteNoise") == 1


def test_variable_that_resembles_an_option_has_no_note(convert: Any) -> None:
    assert convert("vassal_name = a\nmodule = %(vassal_name)\n").noted == []
    assert convert("spooler = a\nprocname = %(spooler)\n").noted == ["spooler", "procname"]


@pytest.mark.parametrize("address", ["127.0.0.1:80", "/run/x.sock", "[::1]:80", "localhost:80"])
def test_address_of_this_machine_has_no_note_on_the_proxy(convert: Any, address: str) -> None:
    assert "forwarded_allow_ips" not in convert(f"http-socket = {address}\n").notes


def test_included_file_that_is_missing_is_looked_up_as_in_uwsgi(tmp_path: Path, capfd: Any) -> None:
    file = tmp_path / "vassal.ini"
    file.write_text("[uwsgi]\nini = base.ini\n")
    assert main([str(file)]) == 2
    message = capfd.readouterr().err
    assert f"base.ini cannot be read: No such file or directory. {file} includes it." in message
    assert "a relative path belongs to the current directory" in message


def test_commands_of_cron_are_functions_with_different_names(convert: Any) -> None:
    found = convert("cron = 0 2 -1 -1 -1 x\ncron2 = hour=3 y\nunique-cron = 1 1 1 1 1 z\n")
    assert [f"def job_{number}():" in found.text for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "import subprocess;" in found.text


@pytest.mark.parametrize(("line", "code"), [
    ("cron = 0 2 -1 -1 -1 $(HOME)/bin/x.sh a", 'os.environ["HOME"] + "/bin/x.sh a"'),
    ("cron = 0 2 -1 -1 -1 x $(HOME)", '"x " + os.environ["HOME"]'),
    ("cron2 = hour=2 x $(HOME)/y", '"x " + os.environ["HOME"] + "/y"'),
])
def test_variable_in_a_command_of_cron_is_read_from_the_environment(convert: Any, line: str, code: str) -> None:
    text = convert(line).text
    assert f"subprocess.run({code}, shell=True)" in text
    assert "import os, subprocess;" in " ".join(text.replace("#", "").split())


def test_command_of_cron_remains_text(convert: Any) -> None:
    found = convert("cron = 0 2 -1 -1 -15 x \"; import os #\n")
    assert '#       @background.cron("0 2 * * */15")' in found.text
    assert "subprocess.run('x \"; import os #', shell=True)" in found.text


def test_command_to_start_is_quoted(convert: Any) -> None:
    assert "# Start: '/a b; x/bin/gunicorn' -c gunicorn.conf.py\n" in convert("home = /a b; x/\n").text


@pytest.mark.parametrize(("redirection", "status", "message"), [
    (">/dev/full", 1, "No space left on device"), (">&-", 1, "Bad file descriptor"), ("| true", 0, "")])
def test_output_that_cannot_be_written(tmp_path: Path, redirection: str, status: int, message: str) -> None:
    if redirection == ">/dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is a device of Linux")
    (tmp_path / "a.ini").write_text("[uwsgi]\nmodule = a\n")
    done = subprocess.run(["sh", "-c", f'"$0" -m gworkers convert a.ini {redirection}', sys.executable], cwd=tmp_path,
                          text=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == status
    assert message in done.stderr
    assert done.stderr.count("\n") == bool(message)
