"""The tutorial: each file is written, each command is run, and the output that is shown is compared."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.doc_blocks import SHELL, blocks
from support.waiting import WAIT_LIMIT, until

pytestmark = [pytest.mark.full, pytest.mark.slow]

LIMIT = 60.0


def comparable(line: str) -> str:
    """A line without what differs from run to run: numbers, units and spaces."""
    return re.sub(r"[\d.,:]*\d( (B|KiB|MiB|us|ms|s)\b)?", "0", " ".join(line.split()))


class Terminals:
    """A directory, one terminal for the server and one for commands. The server listens on ports that are free."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log"
        self.address = "127.0.0.1:8000"
        #: The size that the log had before the last commands.
        self.position = 0
        self.server: subprocess.Popen[bytes] | None = None
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GWORKERS_", "GUNICORN_"))},
            # A reader of the tutorial is not root.
            "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0", "GWORKERS_SILENCE": "root", "COLUMNS": "80",
        }  # fmt: skip

    def real(self, text: str) -> str:
        """The text with the addresses of this server."""
        return text.replace("127.0.0.1:8000", self.address).replace("127.0.0.1:9100", "unix:status.sock")

    def shown(self, text: str) -> str:
        """The text with the directory that the tutorial shows."""
        return text.replace(str(self.directory), "/home/ann/shop")

    def serve(self, command: str) -> None:
        self.stop()
        self.position = 0
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=self.directory, env=self.environ,
                                           stdout=log, stderr=log)
        self.address = until(lambda: re.search(r"Listening at: http://(\S+)", self.log.read_text()), "the server")[1]
        until(lambda: "Booting worker" in self.log.read_text(), "a worker")

    def run(self, commands: str) -> str:
        self.position = self.log.stat().st_size
        done = subprocess.run(["sh", "-c", self.real(commands)], cwd=self.directory, env=self.environ, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{self.log.read_text()}"
        return self.shown(done.stdout)

    def wait_for_log(self, shown: str) -> None:
        """Wait until the server has logged these lines since the last commands began."""
        def written() -> str:
            return self.shown(self.log.read_bytes()[self.position:].decode())

        until(lambda: not missing(shown, written()), f"these lines in the log:\n{shown}")

    def stop(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGTERM)
            assert self.server.wait(WAIT_LIMIT) == 0


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    terminals = Terminals(tmp_path)
    yield terminals
    with contextlib.suppress(AssertionError):
        terminals.stop()
    if terminals.server is not None:
        terminals.server.kill()


def missing(shown: str, output: str) -> list[str]:
    """The lines that the tutorial shows and the output lacks."""
    printed = comparable(output)
    return [line for line in shown.splitlines() if line.strip() != "..." and comparable(line) not in printed]


@pytest.mark.skipif(not shutil.which("curl"), reason="the tutorial uses curl")
def test_tutorial(terminals: Terminals) -> None:
    pytest.importorskip("flask")
    pytest.importorskip("gevent")
    pytest.importorskip("rich")
    for block in blocks():
        if block.reason != "tests/functional/test_tutorial.py":
            continue
        name = re.match(r"# (\S+\.py)\n", block.text)
        if block.language == "python":
            assert name
            (terminals.directory / name[1]).write_text(terminals.real(block.text))
        elif block.text.startswith(".venv/bin/gunicorn"):
            terminals.serve(block.text)
        elif block.language in SHELL:
            output = terminals.run(block.commands)
            shown = "".join(line + "\n" for line in block.text.splitlines() if not line.startswith("$ "))
            assert missing(shown, output) == [], f"{block.place}\n{output}"
        else:
            terminals.wait_for_log(block.text)
