"""Each block of code in the documentation is valid, and each command is run by a test or marked.

support/doc_blocks.py describes the marks.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import json
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gworkers.errors import SettingsError
from support.doc_blocks import SHELL, Block, blocks
from support.paths import ROOT, TESTS
from support.waiting import until

BLOCKS = blocks()
#: Of each command once.
COMMANDS = list({block.commands: block for block in BLOCKS if block.language in SHELL}.values())
#: Why a block may be left to a person. Another test is better, if it can run the same: <!-- run by: tests/... -->.
REASONS = ("installs packages", "needs another machine", "needs Docker", "needs Kubernetes", "needs root",
           "needs the internet", "needs a terminal", "runs for minutes")
#: Commands that are not started without a mark: they change the machine, or need others, or run for minutes.
UNSUITABLE = re.compile(r"\b(pip3? (install|wheel)|apt(-get)?|sudo|git clone|docker|kubectl|ssh|systemctl|pytest|tox|"
                        r"benchmarks|tests\.compatibility|rm -r\w*)\b")
#: Seconds until a command must have ended, or a server must respond.
LIMIT = 60.0


def parse_ini(text: str) -> None:
    configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True).read_string(text)


def parse_yaml(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    assert list(yaml.safe_load_all(text))


def parse_toml(text: str) -> None:
    pytest.importorskip("tomllib").loads(text)


def parse_shell(text: str) -> None:
    checked = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def parse_python(text: str) -> None:
    compile(text, "block", "exec", dont_inherit=True)


#: Languages, each with what raises an exception if a text is invalid.
PARSERS: dict[str, Callable[[str], object]] = {
    "python": parse_python, "sh": parse_shell, "console": parse_shell, "ini": parse_ini, "yaml": parse_yaml,
    "toml": parse_toml, "json": json.loads,
}  # fmt: skip


def ids(block: Block) -> str:
    return block.place


@pytest.mark.smoke
@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in PARSERS], ids=ids)
def test_block_is_valid(block: Block) -> None:
    PARSERS[block.language](block.commands)


def test_names_of_gworkers_exist() -> None:
    names = {(block.place, name) for block in BLOCKS if block.language == "python" for name in imported(block.text)}
    assert names
    assert [f"{place}: {name}" for place, name in sorted(names) if not exists(name)] == []


def imported(text: str) -> Iterator[str]:
    """The names of gworkers that a program uses, with their modules."""
    modules = {"gworkers": "gworkers"}
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "gworkers":
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}.{node.attr}"


def exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, SettingsError):
        return False
    return True


def test_other_languages_are_run_by_a_test() -> None:
    unknown = [f"{block.place}: {block.language}: write <!-- run by: tests/... --> in the line before, and name the "
               "test that uses this text; output has no language" for block in BLOCKS
               if block.language not in PARSERS and block.language not in ("", "text") and block.mark != "run by"]
    assert unknown == []


def test_marks_have_a_reason() -> None:
    wrong = [f"{block.place}: not run: {block.reason!r} is none of {', '.join(REASONS)}" for block in BLOCKS
             if block.mark == "not run" and not block.reason.startswith(REASONS)]
    wrong += [f"{block.place}: run by: {block.reason!r} is not a file in tests/" for block in BLOCKS
              if block.mark == "run by" and not (block.reason.startswith("tests/") and (ROOT / block.reason).is_file())]
    assert wrong == []


def test_configurations_are_valid() -> None:
    texts = {block.place: block.text for block in BLOCKS if block.is_configuration}
    assert len(texts) > 8
    loaded = subprocess.run([sys.executable, "-m", "support.doc_configurations"], cwd=TESTS, input=json.dumps(texts),
                            text=True, capture_output=True, timeout=LIMIT, check=True)
    assert json.loads(loaded.stdout) == {}


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """A directory like a checkout, with its virtual environment, and with the application hello."""
    for entry in ROOT.iterdir():
        if entry.name not in {".git", ".venv", "examples"}:
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "examples/hello/hello.py", tmp_path)
    (tmp_path / "gunicorn.conf.py").write_text('worker_class = "gworkers.GeventWorker"\n')
    return tmp_path


@contextlib.contextmanager
def running(commands: str, directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GWORKERS_", "GUNICORN_"))}
    environ |= {"HOME": str(directory), "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0",
                "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}"}
    with log.open("wb") as output:
        process = subprocess.Popen(["sh", "-e", "-c", commands], cwd=directory, env=environ, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_served(host: str, port: int) -> bool:
    with contextlib.closing(HTTPConnection(host, port, timeout=LIMIT)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status < 500


def stop_servers(log: Path, stopped: set[int]) -> None:
    """Send a request to each server that has started since the last call, and stop it: the next command follows."""
    for master, host, port in re.findall(r"\[(\d+)\] \[INFO\] Listening at: http://([\d.]+):(\d+)", log.read_text()):
        if int(master) not in stopped:
            stopped.add(int(master))
            assert is_served(host, int(port))
            os.kill(int(master), signal.SIGTERM)


def advice(block: Block) -> str:
    return (
        f"The commands at {block.place} cannot be run here. They run in a copy of a checkout with .venv, hello.py and "
        "gunicorn.conf.py, without other servers. If that does not suit them, write a mark in the line before the "
        "block: <!-- run by: tests/functional/test_x.py -->, <!-- not run: needs root --> (or another one of REASONS "
        f"in {Path(__file__).name}), or <!-- slow --> if they take more than a second.\n{block.commands}")


@pytest.mark.parametrize("block", [
    pytest.param(block, marks=[pytest.mark.full] if block.mark == "slow" else [])
    for block in COMMANDS if block.mark in ("", "slow")
], ids=ids)
def test_commands_succeed(block: Block, sandbox: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not UNSUITABLE.search(block.commands), advice(block)
    pytest.importorskip("flask")
    log = tmp_path_factory.mktemp("log") / "log"
    stopped: set[int] = set()
    with running(block.commands, sandbox, log) as process:
        def ended() -> bool:
            stop_servers(log, stopped)
            return process.poll() is not None

        until(ended, f"the end of these commands:\n{block.commands}", LIMIT)
    assert process.returncode == 0, f"{advice(block)}\nStatus {process.returncode}:\n{log.read_text()}"
