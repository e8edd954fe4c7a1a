"""One server process, from its start to its exit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

APPS = Path(__file__).resolve().parent / "apps"
START_LIMIT = 20.0
"""Seconds that a server has until its first response."""
STOP_LIMIT = 5.0
"""Seconds that it has to stop before it is killed."""
SLOW_STOP_LIMIT = 60.0
"""Seconds that it has to stop where a slow stop is measured."""


class ServerFailed(Exception):
    """The server did not do what is measured. The message names it, or contains the last lines of its output."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def pin(processor: int | None) -> Callable[[], None] | None:
    """The function that a new process calls to stay on *processor*, where the platform supports that."""
    if processor is None:
        return None
    return lambda: os.sched_setaffinity(0, {processor})


def ask(port: int, timeout: float) -> bytes:
    """The first bytes of the response to a GET on a new connection. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.settimeout(timeout)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n\r\n")
        return sock.recv(4096)


def group(leader: int) -> list[int]:
    """The processes of a process group. Linux only."""
    members = []
    for process in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process) == leader:
                members.append(process)
    return members


class Server:
    """A context manager: the server is ready inside, and has stopped afterwards."""

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        environ: Mapping[str, str] | None = None,
        processor: int | None = None,
    ) -> None:
        self.command = command
        self.port = port
        self.log = log
        self.environ = {**os.environ, **(environ or {})}
        self.processor = processor

    def __enter__(self) -> Server:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=APPS,
                env=self.environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=pin(self.processor),
            )
        try:
            self._wait_for_answer()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def processor_time(self) -> float | None:
        """Seconds that the server's processes have been on a processor; None without /proc."""
        if not Path("/proc/self/stat").exists():
            return None
        ticks = 0
        for process in group(self.process.pid):
            with contextlib.suppress(OSError):
                # The command's name, in parentheses, may contain anything: the fields follow it.
                fields = Path("/proc", str(process), "stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait_for_exit(self) -> None:
        """Wait until no process of the server is left. Raises ServerFailed."""
        deadline = time.monotonic() + SLOW_STOP_LIMIT
        while self.process.poll() is None or self._is_running():
            if time.monotonic() > deadline:
                raise ServerFailed(f"not stopped {SLOW_STOP_LIMIT:g} s after TERM")
            time.sleep(0.005)

    def _is_running(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):  # macOS: only zombies are left
            return False
        return True

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                answer = ask(self.port, 1.0)
            except OSError:
                time.sleep(0.05)
                continue
            if b" 200 " in answer.split(b"\r\n", 1)[0] + b" ":
                return
            time.sleep(0.05)
        last = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        raise ServerFailed(f"no response from {' '.join(self.command)}: " + " / ".join(last))

    def _stop(self) -> None:
        # Its children are in its process group: a server that crashes must not leave a worker behind.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_LIMIT)
