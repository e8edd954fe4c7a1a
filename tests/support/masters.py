"""Masters, their pidfiles, and whether they continue."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.launch import ANNOUNCE
from support.server import Server
from support.waiting import until, until_gone

#: Seconds that a master may take to start or to end, or several attempts to boot, on a machine with other work.
LONG = 40.0

#: The log line of a reload with code that cannot boot.
FAILED = r"\[ERROR\] Reload failed: no new worker booted\."


def reconfigure(server: Server, config: str) -> None:
    (server.directory / "gunicorn.conf.py").write_text(config + ANNOUNCE)
    server.signal(signal.SIGHUP)


def assert_serves(server: Server, *workers: int) -> None:
    """The master runs, has exactly these workers, and they answer."""
    assert server.process.poll() is None
    assert server.worker_pids() == list(workers)
    answer = server.ask()
    assert (answer["parent"], answer["pid"] in workers) == (server.pid, True)


def renewed(server: Server, *old: int) -> int:
    """Wait until a reload has replaced these workers with one; returns it."""
    until_gone(*old, limit=LONG)
    (new,) = server.worker_pids()
    assert_serves(server, new)
    return new


def number(pidfile: Path) -> int | None:
    """The process id in the file, or None."""
    try:
        return int(pidfile.read_text())
    except (FileNotFoundError, ValueError):
        return None


def second(pidfile: Path) -> Path:
    """The pidfile of the second master, while there are two."""
    return Path(f"{pidfile}.2")


@contextmanager
def upgraded(server: Server, pidfile: Path) -> Iterator[int]:
    """The new master's process id, once its worker is ready."""
    since = len(server.lines)
    server.signal(signal.SIGUSR2)
    new = until(lambda: number(second(pidfile)), "the second pidfile", LONG)
    try:
        server.wait_for_log(r"^worker \d+ is ready$", LONG, since=since)
        yield new
    finally:
        with suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        until_gone(new, limit=LONG)
