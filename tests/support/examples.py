"""The commands in README.md and examples/README.md, and a server that such a command starts."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT
from support.waiting import WAIT_LIMIT, until


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

    def listening() -> tuple[str, int] | None:
        assert process.poll() is None
        found = re.search(r"Listening at: http://([\d.]+):(\d+)", log.read_text())
        return (found[1], int(found[2])) if found else None

    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name(gunicorn), *words, "--bind", "127.0.0.1:0"],
            cwd=directory, env=environ, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        address = until(listening, "the server listens")
        assert address is not None
        yield address
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
