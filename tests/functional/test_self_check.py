"""The self-check: a worker finds a part of its server that makes no progress, repairs it, or is replaced."""

from __future__ import annotations

import pytest

from support.client import request

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

CONFIG = "from stalled import install as post_worker_init\n"
STALLED = r"Stalled for [\d.]+ s: {}\. The worker repairs this now"


@pytest.fixture
def server(start):
    return start("stalled:app", "--timeout", 2, config=CONFIG)


@pytest.mark.parametrize(("stall", "said"), [
    ("stop-listening", "a listener does not accept connections"),
    ("stay-full", "accepting connections was not resumed"),
    ("lose-the-dispatcher", "requests are not started"),
    ("lose-the-outbox", "responses are not sent"),
    ("lose-the-log", "log records are not passed on")])
@pytest.mark.sample(2)
def test_stalled_part_is_repaired(server, stall, said):
    worker = server.worker_pids()
    assert server.connect().request(f"/{stall}").status == 200
    client = server.connect()
    client.send(request("/"))
    assert client.receive().body == b"ok"
    server.wait_for_log(STALLED.format(said))
    assert client.request("/").body == b"ok"
    assert server.worker_pids() == worker


@pytest.mark.full
def test_scheduler_that_has_ended_is_started_again(server):
    assert server.connect().request("/end-the-scheduler").body == b"ok"
    server.wait_for_log(STALLED.format("timers and signals of the application are not checked"))
    server.wait_for_log("^tick$", count=3, since=len(server.lines))


@pytest.mark.full
def test_stalled_time_limits_are_repaired(server):
    assert server.connect().request("/lose-the-time-limits").status == 504
    server.wait_for_log(STALLED.format("time limits of requests are not checked"))


def test_stalled_watch_for_clients_is_repaired(server):
    assert server.connect().request("/lose-the-client-watch").body == b"False"
    server.wait_for_log(STALLED.format("clients that leave are not detected"))


def test_stalled_connection_is_closed(server):
    idle = server.connect()
    assert idle.request("/").body == b"ok"
    assert server.connect().request("/lose-a-connection").status == 200
    idle.expect_close()
    server.wait_for_log(STALLED.format("a connection from 127.0.0.1, idle, makes no progress"))
    assert server.connect().request("/").body == b"ok"


def test_worker_that_cannot_repair_itself_is_replaced(server):
    """It stops its heartbeat, so the arbiter kills it after ``timeout`` seconds."""
    worker, = server.worker_pids()
    assert server.connect().request("/break-beyond-repair").status == 200
    lost = server.connect()
    lost.send(request("/"))
    server.wait_for_log("cannot repair itself and stops its heartbeat")
    server.wait_for_log("WORKER TIMEOUT")
    server.wait_for_log(r"^worker \d+ is ready$", count=1, since=len(server.lines))
    assert server.connect().request("/").body == b"ok"
    assert worker not in server.worker_pids()


def test_busy_worker_is_not_reported_as_stalled(server):
    """It has an idle connection, a request that waits, and many that do not."""
    idle, waiting, client = server.connect(), server.connect(), server.connect()
    assert idle.request("/").body == b"ok"
    gate = server.word()
    waiting.send(request(f"/wait?{gate}"))
    for _ in range(15):
        assert client.request("/check-soon").status == 200
    assert server.log("Stalled|stops its heartbeat") == []
    assert client.request(f"/open?{gate}").status == 200
    assert waiting.receive().body == b"ok"
