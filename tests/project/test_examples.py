"""The examples, started with the commands in README.md and examples/README.md."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.paths import ROOT

pytest.importorskip("flask")
pytestmark = pytest.mark.smoke

WAIT_LIMIT = 20.0


def worker(text: str) -> str:
    """The hub of the worker class in a command or a configuration."""
    return re.findall(r"(\w+)Worker\b", text)[-1].lower()


#: The Gunicorn commands in the README, by hub.
README = {
    worker(command): command
    for command in re.findall(r"^(?:.*&& )?\.venv/bin/(gunicorn .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
}

#: The command of each example, by directory.
EXAMPLES = dict(
    re.findall(r"^\| \[(\w+)\]\(.*\| `\.\./\.\./\.venv/bin/(gunicorn.*)` \|$",
               (ROOT / "examples/README.md").read_text(), re.MULTILINE)
)


@contextlib.contextmanager
def running(command: str, directory: Path, log: Path) -> Iterator[tuple[str, int]]:
    """Run *command* on a free port, yield the address, and expect a clean exit."""
    gunicorn, *words = shlex.split(command)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GWORKERS_", "GUNICORN_"))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(gunicorn), *words, "--bind", "127.0.0.1:0"],
            cwd=directory, env=environ, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + WAIT_LIMIT
        while not (found := re.search(r"Listening at: http://([\d.]+):(\d+)", log.read_text())):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield found[1], int(found[2])
        process.terminate()
        assert process.wait(WAIT_LIMIT) == 0
        assert "Traceback" not in log.read_text()
    except BaseException:
        sys.stderr.write(log.read_text())
        raise
    finally:
        process.kill()
        process.wait()


def get(address: tuple[str, int], path: str) -> tuple[int, str]:
    with contextlib.closing(HTTPConnection(*address, timeout=WAIT_LIMIT)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def check(address: tuple[str, int]) -> None:
    assert get(address, "/") == (200, "Hello, world!\n")
    assert get(address, "/count") == (200, "1\n2\n3\n")
    assert get(address, "/nowhere")[0] == 404


def test_commands_in_the_readme_work(hub, tmp_path):
    # In another directory, so that Gunicorn imports the installed package, not the checkout.
    command = README[hub].replace("examples/", f"{ROOT}/examples/")
    with running(command, tmp_path, tmp_path / "log") as address:
        check(address)


def test_every_example_has_a_command():
    assert sorted(EXAMPLES) == sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_commands_of_the_examples_work(hub, name, tmp_path):
    directory = ROOT / "examples" / name
    config = directory / "gunicorn.conf.py"
    wanted = worker(EXAMPLES[name] + (config.read_text() if config.exists() else ""))
    if hub != wanted:
        pytest.skip(f"an example for {wanted}")
    with running(EXAMPLES[name], directory, tmp_path / "log") as address:
        check(address)


def test_waiting_request_does_not_block_another_one(hub, tmp_path):
    with contextlib.ExitStack() as stack:
        command = README[hub].replace("examples/", f"{ROOT}/examples/")
        address = stack.enter_context(running(command, tmp_path, tmp_path / "log"))
        slow, quick = (
            stack.enter_context(contextlib.closing(HTTPConnection(*address, timeout=WAIT_LIMIT))) for _ in range(2)
        )
        slow.request("GET", "/wait")
        quick.request("GET", "/")
        answered, _, _ = select.select([slow.sock, quick.sock], [], [], WAIT_LIMIT)
        assert quick.sock in answered
        assert quick.getresponse().read() == b"Hello, world!\n"
        assert slow.getresponse().read() == b"It was worth it.\n"
