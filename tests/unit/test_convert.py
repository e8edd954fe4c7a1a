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
    found = convert("http = :8000\nmodule = site.wsgi\nmaster = true\nprocesses = 4\nvacuum = true\n")
    settings = found.settings()
    assert settings["bind"] == ["0.0.0.0:8000"]
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
    (b"[uwsgi]\nfor-times = 9999\na = 1\na = 2\nendfor=\n", "more than 10000 options"),
])
def test_files_that_cannot_be_converted(tmp_path: Path, capfd: Any, content: bytes, message: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("uwsgi.ini").write_bytes(content)
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
