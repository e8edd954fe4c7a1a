"""Signals of the application: from any worker or process, to one worker, every worker or worker number N."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.fixture
def server(serve: Start) -> Server:
    server = serve("background_signals:app", workers=2)
    until(lambda: is_received_by(server, server.word(), 2), "two workers that serve")
    return server


def is_received_by(server: Server, word: str, workers: int) -> bool:
    """Send a signal, and return whether so many workers have received it."""
    send(server, "note", word)
    server.wait_for_log(f"^note {word} in")
    return len(server.log(f"^every {word} in")) == workers


def send(server: Server, signal: str, payload: str) -> None:
    assert server.connect().request(f"/send?{signal}={payload}").body == b"ok"


def pids(server: Server, pattern: str) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in server.log(pattern)]


@pytest.mark.smoke
def test_signal_starts_the_handlers_of_its_targets(server: Server) -> None:
    word = server.word()
    send(server, "note", word)
    server.wait_for_log(f"^every {word} in", count=2)
    server.wait_for_log(f"^second {word} in 2$")
    server.wait_for_log(f"^note {word} in")
    assert sorted(pids(server, f"^every {word} in")) == sorted(server.worker_pids())
    later = server.word()
    send(server, "note", later)
    server.wait_for_log(f"^note {later} in")
    assert len(server.log(f"^note {word} in")) == len(server.log(f"^second {word} in")) == 1


def test_messages_wait_while_the_handler_runs(server: Server, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first", "second", "third")]
    for file in files:
        send(server, "slow", str(file))
    for file in files:
        server.wait_for_log(f"^slow {file.name} begins in")
        file.touch()
        server.wait_for_log(f"^slow {file.name} ends$")
    assert [line.split()[2] for line in server.log("^slow ")] == ["begins", "ends"] * 3


def test_handler_may_overlap(server: Server, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first", "second")]
    for file in files:
        send(server, "overlapping", str(file))
    for file in files:
        server.wait_for_log(f"^overlapping {file.name} begins$")
    for file in files:
        file.touch()


def test_failing_handler_gets_the_next_message(server: Server) -> None:
    for number in (1, 2):
        send(server, "failing", str(number))
        server.wait_for_log(r"\[ERROR\] Exception in background function background_signals:failing$", count=number)
        server.expect_traceback(f"deliberate {number}")


def test_unknown_signal_is_an_error(server: Server) -> None:
    response = server.connect().request("/send?unknown=1")
    assert response.status == 409
    assert response.body.startswith(b"no handler of the signal 'unknown' is registered in this worker.")


def test_forked_process_can_send(server: Server) -> None:
    word = server.word()
    assert server.connect().request(f"/send-in-a-fork?{word}").body == b"ok"
    server.wait_for_log(f"^note {word} in")
    server.wait_for_log(f"^every {word} in", count=2)


SENDER = """
import sys
from gworkers import background
try:
    background.send(sys.argv[2], sys.argv[3] * int(sys.argv[4]), server=sys.argv[1])
except background.SendError as error:
    sys.exit(f"error: {error}")
"""


def send_from_outside(server: str, signal: str, payload: str, times: int = 1) -> str:
    """What a process that is no worker prints when it sends."""
    return subprocess.run([sys.executable, "-c", SENDER, server, signal, payload, str(times)], check=False, text=True,
                          stderr=subprocess.PIPE).stderr


@pytest.mark.parametrize("target", ["master", "worker", "address"])
def test_other_process_sends_through_a_worker(server: Server, target: str) -> None:
    if target == "address" and sys.platform != "linux":
        pytest.skip("an address is found in /proc")
    word = server.word()
    name = {"master": str(server.pid), "worker": str(server.worker_pids()[0]),
            "address": "{}:{}".format(*server.address)}[target]
    assert send_from_outside(name, "note", word) == ""
    server.wait_for_log(f"^note {word} in")
    server.wait_for_log(f"^every {word} in", count=2)


def test_other_process_sends_a_large_payload(server: Server) -> None:
    assert send_from_outside(str(server.pid), "note", "x", 65_000) == ""
    server.wait_for_log("^note x{65000} in")


def test_worker_refuses_the_signal_of_another_process(server: Server) -> None:
    error = send_from_outside(str(server.pid), "unknown", "1")
    assert error.startswith("error: no worker has confirmed the signal 'unknown': worker ")
    assert "no handler of the signal 'unknown' is registered in this worker" in error


@pytest.mark.full
def test_full_ring_is_an_error(start: Start) -> None:
    # The handler never ends.
    server = start("background_signals:app", "--graceful-timeout", 1)
    body = server.connect(timeout=30).request("/fill").body.decode()
    assert body.startswith("17 the signal was not sent, because the 1024 KiB for messages are full"), body


@pytest.mark.full
def test_message_is_received_once_when_its_worker_is_killed(start: Start, tmp_path: Path) -> None:
    """The message that the killed worker has begun with is not repeated. The others are received by another worker."""
    server = start("background_signals:app", workers=2)
    files = [tmp_path / name for name in ("first", "second", "third")]
    for file in files:
        send(server, "slow", str(file))
    os.kill(int(server.wait_for_log(r"^slow first begins in (\d+)")[1]), signal.SIGKILL)
    for file in files[1:]:
        server.wait_for_log(f"^slow {file.name} begins in")
        file.touch()
        server.wait_for_log(f"^slow {file.name} ends$")
    assert len(server.log("^slow .* begins")) == 3


@pytest.mark.full
def test_message_that_waits_is_received_after_a_reload(start: Start, tmp_path: Path) -> None:
    server = start("background_signals:app", "--keep-alive", 60, settings={"drain_keepalive": 0.1})
    old, = server.worker_pids()
    files = [tmp_path / name for name in ("first", "second")]
    for file in files:
        send(server, "slow", str(file))
    server.wait_for_log(f"^slow first begins in {old}$")
    idle = server.connect()
    assert idle.request("/").body == b"ok"
    server.signal(signal.SIGHUP)
    # The old worker closes the connection when it drains.
    idle.expect_close()
    files[0].touch()
    new = int(server.wait_for_log(r"^slow second begins in (\d+)$")[1])
    assert new != old
    files[1].touch()
    server.wait_for_log("^slow second ends$")
    until_gone(old)
    assert len(server.log("^slow .* begins")) == 2
