"""USR2 starts a new master beside the old one; either of them can be stopped."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support.client import Client
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

CONFIG = "from os import getpid, write\ndef pre_exec(server):\n    write(2, b'pre_exec in %d\\n' % getpid())\n"

#: Seconds in which a master starts or ends, on a busy machine.
LONG = 30.0


@contextmanager
def upgraded(server: Server) -> Iterator[int]:
    """Give the new master's process id when its worker is ready."""
    server.signal(signal.SIGUSR2)
    new = int(server.wait_for_log(r"^pre_exec in (\d+)$")[1])
    try:
        server.wait_for_log(r"^worker \d+ is ready$", LONG, count=2)
        yield new
    finally:
        with suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        until(lambda: not is_alive(new), "the end of the new master", LONG)


@pytest.mark.smoke
def test_upgrade_loses_no_request(start: Start) -> None:
    server = start("probe:app", config=CONFIG)
    (old,) = server.worker_pids()
    with Load(server) as load, upgraded(server):
        (new,) = set(server.worker_pids()) - {old}
        load.answered_by(new)
        server.signal(signal.SIGTERM)
        assert server.process.wait(LONG) == 0
        until(lambda: not is_alive(old), "the end of the old worker")
        load.goes_on()
        assert load.pids[-1] == new
        load.__exit__(None, None, None)
    assert not load.failures


def test_reverted_upgrade_loses_no_request(start: Start) -> None:
    server = start("probe:app", config=CONFIG)
    (old,) = server.worker_pids()
    with Load(server) as load:
        with upgraded(server):
            (new,) = set(server.worker_pids()) - {old}
            load.answered_by(new)
        load.goes_on()
        assert load.pids[-1] == old
        # The old master still reloads.
        server.signal(signal.SIGHUP)
        until(lambda: not is_alive(old), "the end of the old worker", LONG)
        load.goes_on()
    assert not load.failures


def test_new_master_reloads(start: Start) -> None:
    server = start("probe:app", config=CONFIG)
    (old,) = server.worker_pids()
    with upgraded(server) as new, Load(server) as load:
        (first,) = set(server.worker_pids()) - {old}
        os.kill(new, signal.SIGHUP)
        until(lambda: not is_alive(first), "the end of its first worker", LONG)
        (second,) = set(server.worker_pids()) - {old}
        load.answered_by(second)
        load.__exit__(None, None, None)
    assert not load.failures


class Daemon:
    """A detached server. Gunicorn ignores WINCH in others."""

    def __init__(self, log: Path, pidfile: Path) -> None:
        self._log = log
        self.pid = int(until(lambda: pidfile.exists() and pidfile.read_text().strip(), "the pidfile", LONG))
        port = until(lambda: re.search(r"Listening at: http://127.0.0.1:(\d+) ", log.read_text()), "a port", LONG)
        self.addresses = [("127.0.0.1", int(port[1]))]
        self.address = self.addresses[0]

    def asked(self) -> Any:
        client = Client.connect(self.address)
        try:
            return json.loads(client.request().body)
        finally:
            client.close()


def test_winch_of_a_daemon(start: Start, tmp_path: Path) -> None:
    """The sequence in Gunicorn's manual: USR2, WINCH to the old master, HUP to it to revert, TERM to the new one."""
    log, pidfile = tmp_path / "log", tmp_path / "pid"
    launcher = start("probe:app", "--daemon", "--error-logfile", log, "--pid", pidfile, ready=False)
    assert launcher.wait_for_exit() == 0
    daemon = Daemon(log, pidfile)
    masters = [daemon.pid]
    try:
        with Load(daemon) as load:  # type: ignore[arg-type]
            load.goes_on()
            (old,) = set(load.pids)
            os.kill(daemon.pid, signal.SIGUSR2)
            second = Path(f"{pidfile}.2")
            masters.append(int(until(lambda: second.exists() and second.read_text().strip(), "a new master", LONG)))
            until(lambda: set(load.pids) - {old} or load.failures, "an answer of its worker", LONG)
            os.kill(daemon.pid, signal.SIGWINCH)
            until(lambda: not is_alive(old), "the end of the old worker", LONG)
            load.goes_on()
            assert is_alive(daemon.pid)
            # HUP reverts it: the old master starts its workers again.
            os.kill(daemon.pid, signal.SIGHUP)
            until(lambda: {asked["parent"] for asked in [daemon.asked() for _ in range(10)]} == set(masters),
                  "answers of both masters' workers", LONG)
            os.kill(masters[1], signal.SIGTERM)
            until(lambda: not is_alive(masters[1]), "the end of the new master", LONG)
            load.goes_on()
            assert daemon.asked()["parent"] == daemon.pid
        assert not load.failures
    finally:
        for master in reversed(masters):
            with suppress(ProcessLookupError):
                os.kill(master, signal.SIGTERM)
            until_gone(master, limit=LONG)
