"""A process that a test needs besides its server, such as a worker of a task queue."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from support.waiting import WAIT_LIMIT, until


class Program:
    """A Python module that runs in a process of its own, and all that it writes.

    :param directory: where its output is written; it also runs there
    :param words: the module and the words of its command line
    :param env: more environment
    """

    def __init__(self, directory: Path, *words: str, env: dict[str, str] | None = None) -> None:
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words], cwd=directory, env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)

    def wait_for(self, pattern: str, limit: float = WAIT_LIMIT) -> re.Match[str]:
        """Wait until it has written a line in which *pattern* is found."""
        def found() -> re.Match[str] | None:
            # The end first: what it wrote before is in the text then.
            ended = self._process.poll() is not None
            text = self._output.read_text(errors="backslashreplace")
            match = re.search(pattern, text, re.MULTILINE)
            assert match or not ended, f"the program has ended:\n{text}"
            return match

        match = until(found, f"the program writes {pattern!r}", limit)
        assert match is not None
        return match

    def stop(self) -> None:
        """End it and the processes that it started."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(WAIT_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
