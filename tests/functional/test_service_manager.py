"""What systemd and statsd get to know."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.masters import LONG, reconfigure
from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


class Receiver:
    """A datagram socket, and what has arrived on it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.messages: list[str] = []
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            try:
                data = self._sock.recv(65536)
            except OSError:
                return
            if not data:
                return
            self.messages.append(data.decode())

    def matching(self, pattern: str) -> list[str]:
        return [message for message in list(self.messages) if re.search(pattern, message)]


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Receiver]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield Receiver(sock)
        sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def env(systemd: Receiver, tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


@pytest.mark.smoke
def test_systemd_is_notified_when_the_first_worker_serves(start: Start, deployment: Deployment, systemd: Receiver,
                                                          env: dict[str, str]) -> None:
    deployment.hold()
    server = start("deployed:app", *deployment.options, env=env, ready=False)
    deployment.booting(1, but=set())
    assert not systemd.messages
    deployment.let_go()
    server.ready()
    until(lambda: systemd.messages, "a notification")
    assert systemd.messages == ["READY=1"]
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert systemd.messages == ["READY=1", "STOPPING=1"]


def test_application_finds_the_socket_of_systemd(start: Start, env: dict[str, str], tmp_path: Path) -> None:
    server = start("probe:app", env=env)
    response = server.connect().request("/variable?name=NOTIFY_SOCKET")
    assert response.body == f'"{tmp_path}/notify"'.encode()


def test_systemd_is_notified_of_reloads(start: Start, systemd: Receiver, env: dict[str, str]) -> None:
    server = start("probe:app", env=env)
    until(lambda: systemd.messages, "a notification")
    (old,) = server.worker_pids()
    before = time.monotonic_ns() // 1000
    server.signal(signal.SIGHUP)
    until(lambda: len(systemd.matching("^READY=1$")) == 2, "the end of the reload", LONG)
    assert systemd.messages[-1] == "READY=1"
    (reloading,) = systemd.matching("^RELOADING=1\n")
    began = int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", reloading)[1])
    assert before <= began <= time.monotonic_ns() // 1000
    until_gone(old)
    reconfigure(server, "1 / 0\n")
    server.expect_traceback("ZeroDivisionError")
    until(lambda: len(systemd.matching("^READY=1$")) == 3, "the end of the reload", LONG)
    assert len(systemd.matching("^RELOADING=1\n")) == 2


@pytest.mark.full
def test_systemd_gets_a_line_of_figures(start: Start, systemd: Receiver, env: dict[str, str]) -> None:
    start("probe:app", env=env, workers=2)
    (status, *_) = until(lambda: systemd.matching("^STATUS="), "a status")
    assert re.fullmatch(r"STATUS=Serving: 2 workers, generation 1, \d+ requests/s, \d+ in flight, hub lag \d+\.\d ms",
                        status)


def test_watchdog_of_systemd_gets_signs_of_life(start: Start, deployment: Deployment, systemd: Receiver,
                                                env: dict[str, str]) -> None:
    server = start("deployed:app", *deployment.options, env={**env, "WATCHDOG_USEC": "4000000"})
    until(lambda: len(systemd.matching("^WATCHDOG=1$")) >= 3, "signs of life")
    os.kill(server.pid, signal.SIGSTOP)
    count = len(systemd.matching("^WATCHDOG=1$"))
    os.kill(server.pid, signal.SIGCONT)
    until(lambda: len(systemd.matching("^WATCHDOG=1$")) > count, "a sign of life")


@pytest.mark.full
def test_watchdog_of_another_process_gets_none(start: Start, systemd: Receiver, env: dict[str, str]) -> None:
    start("probe:app", env={**env, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    until(lambda: systemd.matching("^STATUS="), "a status")
    assert not systemd.matching("WATCHDOG")


def test_server_works_without_the_socket(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", env={"NOTIFY_SOCKET": str(tmp_path / "nothing")})
    assert server.connect().request().status == 200
    assert not server.log("ERROR")


@pytest.mark.only(hub="gevent")
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="the namespace of abstract sockets is Linux's")
def test_socket_in_the_abstract_namespace(start: Start) -> None:
    name = f"gworkers-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        receiver = Receiver(sock)
        start("probe:app", env={"NOTIFY_SOCKET": f"@{name}"})
        until(lambda: receiver.messages, "a notification")
        assert receiver.messages[0] == "READY=1"
        sock.shutdown(socket.SHUT_RDWR)


def test_statsd_gets_the_main_figures(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        receiver = Receiver(sock)
        server = start("blocking:app", "--statsd-host", f"127.0.0.1:{sock.getsockname()[1]}",
                       settings={"block_warning": 0.2})
        assert server.connect().request("/sleep_unpatched?1").status == 200
        until(lambda: receiver.matching(r"^gworkers\.hub\.blocks:1\|c"), "a counter")
        assert receiver.matching(r"^gworkers\.workers:1\|g$")
        assert receiver.matching(r"^gworkers\.requests\.in_flight:\d+\|g$")
        assert receiver.matching(r"^gworkers\.hub\.lag_ms:[\d.]+\|g$")
