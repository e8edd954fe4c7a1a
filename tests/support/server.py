"""A real Gunicorn in processes of its own, and everything it says.

    server = Server(Setup(app="echo:app")).ready()
    client = server.connect()
    ...
    server.wait_for_log("some pattern")
    server.stop()

Tests get one from the fixtures ``serve`` and ``start`` in conftest.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import log_noise
from support.client import Client
from support.launch import LOG_HANDLER, Setup
from support.waiting import WAIT_LIMIT, is_alive


class Server:
    """One Gunicorn master and its workers, in a process group and a directory of their own.

    Attributes:
        directory: a short path, where the master was started and its files may go.
        process: the master's ``subprocess.Popen``.
        addresses: of the listeners, in order: ``(host, port)`` or a path; known after ``listening()``.
        lines: all that master and workers wrote to stderr and stdout so far, without the line ends.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.directory = Path(tempfile.mkdtemp(prefix="gw"))
        self.lines: list[str] = []
        self.mark = 0
        self.words = 0
        self.clients: list[Client] = []
        self._grew = threading.Condition()
        self._expected: set[int] = set()
        self._ended = False
        self.process = subprocess.Popen(
            setup.command(self.directory), cwd=self.directory, env=setup.environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self.process.stdout is not None
        self._output = self.process.stdout.fileno()
        self._rest = b""
        os.set_blocking(self._output, False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # What it says

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while not self._ended:
            poll.poll()
            with self._grew:
                self._collect()

    def _collect(self) -> None:
        """Read what is there, with the lock held: what was written before is in ``lines`` afterwards."""
        try:
            while not self._ended:
                data = os.read(self._output, 65536)
                *lines, self._rest = (self._rest + data).split(b"\n")
                self.lines += [line.decode("utf-8", "backslashreplace") for line in lines]
                self._ended = not data
        except BlockingIOError:
            pass
        self._grew.notify_all()

    def begin(self) -> None:
        """A test begins: what was said until now is not its affair."""
        with self._grew:
            self._collect()
            self.mark = len(self.lines)

    def log(self, pattern: str = "", since: int | None = None) -> list[str]:
        """The lines since the test began (or since that index) in which ``pattern`` is found."""
        with self._grew:
            self._collect()
            lines = self.lines[self.mark if since is None else since:]
        return [line for line in (log_noise.without(lines) if LOG_HANDLER else lines) if re.search(pattern, line)]

    def whole_log(self, pattern: str = "", client: Client | None = None) -> list[str]:
        """As ``log``, with all that the only worker has said until now; its application must use app_support.

        The ``client`` asks it to say a word, a new one if there is none.
        """
        word = self.word()
        assert (client or self.connect()).request(f"/say?{word}").status == 200
        self.wait_for_log(f"^{word}$")
        return [line for line in self.log(pattern) if not re.fullmatch(r"word-\d+", line)]

    def word(self) -> str:
        """One that nobody has used yet with this server, to name a gate or to be said."""
        self.words += 1
        return f"word-{self.words}"

    def wait_for_log(self, pattern: str, timeout: float = WAIT_LIMIT, since: int | None = None,
                     count: int = 1) -> re.Match[str]:
        """Wait for ``count`` such lines since the test began; returns the last one's match."""
        found: list[re.Match[str]] = []
        position = self.mark if since is None else since
        deadline = time.monotonic() + timeout
        with self._grew:
            while len(found) < count:
                if position < len(self.lines):
                    match = re.search(pattern, self.lines[position])
                    position += 1
                    if match:
                        found.append(match)
                    continue
                left = deadline - time.monotonic()
                if left <= 0 or self._ended or not self._grew.wait(left):
                    raise AssertionError(f"{len(found)} of {count} lines with {pattern!r}:\n{self._said()}")
        return found[-1]

    def _said(self) -> str:
        return "\n".join(self.lines[self.mark:])

    def expect_traceback(self, pattern: str, timeout: float = WAIT_LIMIT) -> str:
        """Wait for a traceback that ends in such a line; any that no test expects fails the test."""
        deadline = time.monotonic() + timeout
        while True:
            with self._grew:
                for start, text in self._tracebacks():
                    if start not in self._expected and re.search(pattern, text.rpartition("\n")[2]):
                        self._expected.add(start)
                        return text
                left = deadline - time.monotonic()
                if left <= 0 or self._ended or not self._grew.wait(left):
                    raise AssertionError(f"no traceback that ends in {pattern!r}:\n{self._said()}")

    def unexpected_tracebacks(self) -> list[str]:
        """The tracebacks since the test began that it did not expect."""
        with self._grew:
            self._collect()
            return [text for start, text in self._tracebacks() if start not in self._expected
                    and not (LOG_HANDLER and log_noise.END.match(text.rpartition("\n")[2]))]

    def _tracebacks(self) -> Iterator[tuple[int, str]]:
        """Each complete one since the test began: the index of its first line, and its lines.

        A chain ("During handling of the above exception ...") is one.
        """
        index = self.mark
        while index < len(self.lines):
            if not self.lines[index].startswith("Traceback (most recent call last)"):
                index += 1
                continue
            start = index
            while True:
                index += 1
                while index < len(self.lines) and self.lines[index][:1] in (" ", ""):
                    index += 1
                if index >= len(self.lines):
                    return
                end = index + 1
                follow = [line for line in self.lines[end:end + 4] if line]
                chained = len(follow) > 1 and follow[1].startswith("Traceback (")
                if not (chained and re.match("During handling|The above exception", follow[0])):
                    break
                index = self.lines.index(follow[1], end)
            yield start, "\n".join(self.lines[start:end])

    # Its life

    def listening(self, timeout: float = WAIT_LIMIT) -> Server:
        """Wait until the master has bound its sockets."""
        listed = self.wait_for_log(r"Listening at: (.*) \(\d+\)$", timeout, since=0)[1]
        self.addresses = [self._address(url) for url in listed.split(",")]
        return self

    def ready(self, timeout: float = WAIT_LIMIT) -> Server:
        """Wait until every worker that the command line asks for has loaded the application."""
        self.listening(timeout)
        self.wait_for_log(r"^worker \d+ is ready$", timeout, since=0, count=self.setup.workers or 1)
        return self

    def _address(self, url: str) -> tuple[str, int] | str:
        if url.startswith("unix:"):
            return url[len("unix:"):]
        host, _, port = url.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def address(self) -> tuple[str, int] | str:
        """Of the first listener."""
        return self.addresses[0]

    @property
    def pid(self) -> int:
        """The master's."""
        return self.process.pid

    def worker_pids(self) -> list[int]:
        """Of the workers that became ready and live, oldest first."""
        pids = [int(line.split()[1]) for line in self.log(r"^worker \d+ is ready$", since=0)]
        return [pid for pid in pids if is_alive(pid)]

    def signal(self, number: int) -> None:
        """Send a signal to the master."""
        self.process.send_signal(number)

    def connect(self, timeout: float = WAIT_LIMIT, index: int = 0) -> Client:
        """A new raw client of a listener; closed at the end of the test."""
        client = Client.connect(self.addresses[index], timeout)
        self.clients.append(client)
        return client

    def ask(self, target: str = "/") -> Any:
        """What an application that answers in JSON says, on a new connection."""
        return json.loads(self.connect().request(target).body)

    def refuses(self) -> bool:
        """Whether the first listener takes no connection."""
        try:
            Client.connect(self.address).close()
        except ConnectionError:
            return True
        return False

    def close_clients(self) -> None:
        while self.clients:
            self.clients.pop().close()

    def wait_for_exit(self, timeout: float = WAIT_LIMIT) -> int:
        """Wait until the master is gone and all it said is read; returns its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def stop(self, timeout: float = WAIT_LIMIT) -> int:
        """TERM, and KILL for the whole group when that is not enough; the latter is an error."""
        self.close_clients()
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            return self.wait_for_exit(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"Gunicorn did not stop in {timeout} s:\n{self._said()}\n{who_is_left(self.process.pid)}") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._reader.join(WAIT_LIMIT)
            if not self._reader.is_alive():
                self.process.stdout.close()
            shutil.rmtree(self.directory, ignore_errors=True)


def who_is_left(group: int) -> str:
    """What each process of that group does, and which signals it has blocked, as far as the system tells."""
    told = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(process.name)) == group:
                lines = (process / "status").read_text().splitlines()
                wanted = [line for line in lines if line.startswith(("Name", "State", "Pid", "PPid", "Sig", "Shd"))]
                told.append("  ".join([*wanted, f"in {(process / 'wchan').read_text()}"]))
    return "\n".join(told)
