"""The commands in README.md and examples/README.md, and a server that such a command starts."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

WAIT_LIMIT = 20.0


class Example(NamedTuple):
    """One row of examples/README.md.

    Attributes:
        command: as in the row, from the word ``gunicorn`` on.
        needs: the distributions that the examples of the first table do not need.
    """

    name: str
    command: str
    needs: tuple[str, ...]

    @property
    def directory(self) -> Path:
        return ROOT / "examples" / self.name

    @property
    def hub(self) -> str:
        config = self.directory / "gunicorn.conf.py"
        return hub_of(self.command + (config.read_text() if config.exists() else ""))


def hub_of(text: str) -> str:
    """The hub of the worker class in a command or a configuration."""
    return re.findall(r"(\w+)Worker\b", text)[-1].lower()


def examples() -> dict[str, Example]:
    """The rows of examples/README.md, by directory."""
    row = r"^\| \[(\w+)\]\(.*?\) \| .*? \|(?: `pip install (.*?)` \|)? `\.\./\.\./\.venv/bin/(gunicorn.*)` \|$"
    rows = re.findall(row, (ROOT / "examples/README.md").read_text(), re.MULTILINE)
    return {name: Example(name, command, tuple(re.findall(r"([\w-]+)(?:\[.*?\])?", needs)))
            for name, needs, command in rows}


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
