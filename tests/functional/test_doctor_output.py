"""``gworkers doctor``: its command line, the format of its report, and the page about findings."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

import gworkers
from gworkers.findings import CODES
from gworkers.settings import Settings
from support.doctor_run import HUB, DoctorRun, Run, environment
from support.launch import WORKERS
from support.paths import ROOT

#: A command line that behaves as if rich was not installed.
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; from gworkers.cli import main; sys.exit(main())"
PAGE = (ROOT / "docs/checks.md").read_text()


# Command line


@pytest.mark.parametrize(("words", "expected"), [
    (["doctor", "-k", WORKERS[HUB]], "No application"),
    (["doctor", "--nonsense", "-k", WORKERS[HUB], "hello:app"], "--nonsense"),
    (["doctor", "hello:app"], "'sync'"),
    (["doctor", "-k", "gthread", "hello:app"], "'gthread'"),
    (["doctor", "-k", "gworkers.GevntWorker", "hello:app"], "GevntWorker"),
    (["doctor", "-k", "gworkers.worker.green", "hello:app"], "Did you mean gworkers.GeventWorker or gworkers."),
    (["doctor", "-k", "nowhere.to_be.Found", "hello:app"], "No module named 'nowhere'"),
    (["doctor", "-k", "gworkers.errors.GworkersError", "hello:app"], "gworkers.errors.GworkersError"),
    (["doctor", "-k", "gworkers.worker.green.GreenWorker", "hello:app"], "GreenWorker"),
], ids=lambda value: value.strip("'-") if isinstance(value, str) else "")
@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "tables"])
@pytest.mark.sample(7)
def test_invalid_usage_is_one_line(run: Run, form: list[str], words: list[str], expected: str) -> None:
    line = run(*words, *form).refusal()
    assert expected in line
    assert line.startswith("gworkers doctor: ")


@pytest.mark.parametrize("words", [[], ["docter"]], ids=["nothing", "docter"])
def test_unknown_command_prints_the_usage(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert result.status == 2
    assert result.out == ""
    assert "gworkers doctor [--json]" in result.err


@pytest.mark.parametrize(("words", "expected"), [(["--help"], "--json"), (["--version"], gworkers.__version__),
                                             (["doctor", "--help"], "--worker-class")])
def test_help_and_version(run: Run, words: list[str], expected: str) -> None:
    pytest.importorskip("rich")
    result = run(*words)
    assert result.status == 0
    assert expected in result.out


def test_invalid_web_concurrency_is_one_line(ask: Run) -> None:
    assert "several" in ask(env={"WEB_CONCURRENCY": "several"}).refusal()


# Format


@pytest.fixture(params=["with rich", "without rich"])
def shown(request: pytest.FixtureRequest, run: Run) -> Run:
    """``run`` with and without rich, for a report in text form."""
    if request.param == "without rich":
        return partial(run, command=("-c", WITHOUT_RICH))
    pytest.importorskip("rich")
    return run


def lines_of(result: DoctorRun, status: int = 0) -> list[str]:
    """The lines of a report in plain text."""
    assert result.status == status, result.err
    assert result.out.isascii()
    assert "\x1b" not in result.out
    lines = result.out.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert lines.pop() == ""
    return lines


def test_report_in_a_pipe_is_plain_text(shown: Run, ask: Run, run: Run, hub: str) -> None:
    words = ["-k", WORKERS[hub], "--bind", "0.0.0.0:8000", "hello:app"]
    result = shown("doctor", "--all", *words, env={"TERM": "xterm-256color", "COLUMNS": "40"}, app="1 / 0\n")
    lines = lines_of(result, 1)
    report = run("doctor", "--json", *words).report
    for finding in report["findings"]:
        for text in (finding["problem"], f"Why: {finding['impact']}", f"Fix: {finding['fix']}"):
            assert [line for line in lines if line.endswith(text)], text
        assert [line for line in lines if line.split()[:1] == [finding["code"]]]
    for name, row in (*report["settings"].items(), *report["gunicorn"].items()):
        assert [line for line in lines if line.split()[:1] == [name] and line.endswith(row["origin"])], name
    for key in ("application", "worker_class", "hub", "backend", "resolver", "parser"):
        assert [line for line in lines if line.endswith(report[key])], key
    for name, version in report["versions"].items():
        assert [line for line in lines if line.split(maxsplit=1) == [name, version or "-"]], name


def test_plain_text_is_the_same_with_rich_and_without(run: Run) -> None:
    pytest.importorskip("rich")
    words = ["doctor", "-k", WORKERS[HUB], "--bind", "0.0.0.0:8000", "hello:app"]
    assert run(*words).out == run(*words, command=("-c", WITHOUT_RICH)).out


def test_findings_come_first(shown: Run) -> None:
    lines = lines_of(shown("doctor", "-k", WORKERS[HUB], "--bind", "0.0.0.0:8000", "hello:app",
                           env={"GWORKERS_SILENCE": "root,eventlet-ends"}))
    assert lines[0].startswith("A worker can serve: 1 warning.")
    titles = [line for line in lines[1:] if line and not line.startswith(" ")]
    assert titles[:2] == ["Findings", "Worker"]
    code = next(number for number, line in enumerate(lines) if line.split()[:1] == ["keepalive-short"])
    assert code < lines.index("Worker")


def test_defaults_are_shown_on_request_only(shown: Run, run: Run) -> None:
    words = ["-k", WORKERS[HUB], "hello:app"]
    env = {"GWORKERS_HEAD_TIMEOUT": "7"}

    def names(*more: str) -> set[str]:
        lines = lines_of(shown("doctor", *more, *words, env=env))
        assert not [line for line in lines if line.endswith("  default")] or more
        return {line.split()[0] for line in lines if line.startswith(" ")}

    own = {field.name for field in fields(Settings)}
    assert names() & own == {"head_timeout"}
    assert names("--all") >= own
    assert set(run("doctor", "--json", *words, env=env).report["settings"]) == own


def test_file_mode_is_an_octal_number(shown: Run) -> None:
    lines = lines_of(shown("doctor", "-k", WORKERS[HUB], "--umask", "0o117", "hello:app"))
    assert [line.split()[1] for line in lines if line.split()[:1] == ["umask"]] == ["0o117"]


def test_tables_fit_a_narrow_terminal(place: Path) -> None:
    pytest.importorskip("rich")
    words = ["doctor", "-k", WORKERS[HUB], "--bind", "0.0.0.0:8000", "hello:app"]
    env = {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "25"}
    terminal, end = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "gworkers", *words], cwd=place, env=environment(env),
                               stdin=subprocess.DEVNULL, stdout=end, stderr=subprocess.PIPE)
    os.close(end)
    data = b""
    try:
        while piece := os.read(terminal, 65536):
            data += piece
    except OSError:
        pass  # Linux reports this error when the other end is closed
    os.close(terminal)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    text = data.decode()
    assert "\x1b[" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= 60
    assert {"keepalive-short", "--keep-alive", "75"} <= set(plain.split())
    assert "\u2026" not in plain


def test_reader_that_closes_the_pipe_causes_no_error(place: Path) -> None:
    pytest.importorskip("rich")
    command = f"{sys.executable} -m gworkers doctor -k {WORKERS[HUB]} hello:app | true"
    done = subprocess.run(command, shell=True, cwd=place, env=environment(), capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.stderr == ""


def test_workers_do_not_import_doctor() -> None:
    code = ("import sys, gworkers.worker.green, gworkers.serving.server; "
            "print([name for name in sys.modules if name.startswith({!r})])")
    names = ("rich", "gworkers.cli", "gworkers.doctor")
    done = subprocess.run([sys.executable, "-c", code.format(names)], capture_output=True, text=True, check=True,
                          timeout=60)
    assert done.stdout == "[]\n"


#: The script that pip creates for the entry point.
COMMAND = Path(sys.executable).parent / "gworkers"


@pytest.mark.skipif(not COMMAND.exists(), reason="not installed with its command")
def test_installed_command_works(place: Path) -> None:
    done = subprocess.run([COMMAND, "doctor", "--json", "-k", WORKERS[HUB], "hello:app"],
                          cwd=place, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert DoctorRun(done).report["ok"]


# docs/checks.md


SECTIONS = dict(re.findall(r"^## ([a-z-]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_each_code_has_a_section() -> None:
    assert set(SECTIONS) == CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_section_is_complete(code: str) -> None:
    parts = re.findall(r"^\*\*([\w ]+)\.\*\* \S", SECTIONS[code], re.MULTILINE)
    assert parts == ["Cause", "Why it matters", "Fix", "Silence"]


def test_table_has_each_code_and_its_kind() -> None:
    rows = re.findall(r"^\| \[`([a-z-]+)`\]\(#([a-z-]+)\) \| ([a-z ]+) \|", PAGE, re.MULTILINE)
    assert [code for code, _, _ in rows] == [anchor for _, anchor, _ in rows] == sorted(CODES)
    for code, _, kind in rows:
        assert kind == ("stops a worker" if "Not possible" in SECTIONS[code] else "warning"), code
