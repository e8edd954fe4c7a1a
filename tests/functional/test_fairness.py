"""Fairness: a client that pipelines, reads fast or is slow does not block others, even on a full worker."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sys
import threading
import time

import pytest

from support.client import request
from support.waiting import until

#: The request parser makes no difference here.
pytestmark = pytest.mark.only(parser="fast")


@pytest.mark.smoke
@pytest.mark.every_hub
def test_pipelining_client_goes_to_the_back_of_the_queue(serve, tmp_path):
    """One client sends 300 requests at once, three others one each. Those do not wait for all of the 300."""
    server = serve("many_clients:app")
    server.connect().request("/counted")
    greedy, *others = [server.connect() for _ in range(3)]
    for client in others:
        assert client.request("/count?before").status == 200
    go = tmp_path / "go"
    greedy.send(request(f"/hold-the-hub?{go}") + request("/count?greedy") * 300)
    server.wait_for_log("^holding the hub$")
    for client in others:
        client.send(request("/count?other"))
    newcomer = server.connect()
    newcomer.send(request("/count?newcomer"))
    go.touch()
    for client in (*others, newcomer):
        assert client.receive().status == 200
    for _ in range(301):
        assert greedy.receive().status == 200
    order = json.loads(server.connect().request("/counted").body)
    order = order[order.index("held"):]
    assert order.count("greedy") == 300
    for name in ("other", "newcomer"):
        behind = order[:order.index(name)].count("greedy")
        assert behind < 20, f"{name} was served after {behind} requests of the greedy client"


@pytest.mark.every_hub
def test_cpu_bound_requests_yield(serve, tmp_path):
    server = serve("many_clients:app")
    gate = server.word()
    ticking, holding, *computing = [server.connect() for _ in range(22)]
    for client in computing:
        assert client.request("/counted").status == 200
    ticking.send(request(f"/tick?{gate}"))
    server.wait_for_log("^ticking$")
    holding.send(request(f"/hold-the-hub?{tmp_path}/go"))
    server.wait_for_log("^holding the hub$")
    for client in computing:
        client.send(request("/compute"))
    (tmp_path / "go").touch()
    for client in (holding, *computing):
        assert client.receive().status == 200
    order = json.loads(server.connect().request("/counted").body)
    order = order[order.index("held"):]
    server.connect().request(f"/open?{gate}")
    assert order.count("compute") == 20
    assert max(sum(1 for _ in run) for name, run in itertools.groupby(order) if name == "compute") <= 3


#: Linux can receive over TCP without copying.
DISCARD = socket.MSG_TRUNC if sys.platform == "linux" else 0


def reading(client):
    """Start a thread that reads everything as fast as it can, and return it."""
    def read():
        # An error in this thread would hide the error of the test.
        with contextlib.suppress(OSError, AssertionError):
            client.read_to_end()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


class FastReader(threading.Thread):
    """Reads everything, faster than a server can send it, and keeps nothing."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self._sock = client.sock
        self._enough = threading.Event()

    def run(self):
        buffer = bytearray(1 << 20)
        with contextlib.suppress(OSError):
            while not self._enough.is_set() and self._sock.recv_into(buffer, 0, DISCARD):
                pass

    def stop(self):
        self._enough.set()
        self.join(10)


@pytest.mark.parametrize("size", [10, 65536])
@pytest.mark.parametrize("path", ["/stream", "/stream-written"])
def test_streaming_to_a_fast_reader_yields(serve, path, size):
    """The worker uses little CPU time before it serves another client. This does not depend on the machine's load."""
    server = serve("many_clients:app")
    client, other = server.connect(), server.connect()
    gate = server.word()
    client.send(request(f"{path}?{size}&{gate}", headers=["Connection: close"]))
    client.wait_until_read()
    thread = reading(client)
    spent = [json.loads(other.request("/usage").body)[0] for _ in range(5)]
    assert max(later - earlier for earlier, later in zip(spent, spent[1:])) < 0.1
    assert server.connect().request("/count").status == 200
    assert thread.is_alive()
    assert server.connect().request(f"/open?{gate}").status == 200
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.only(transport="tcp")
@pytest.mark.smoke
def test_file_for_a_fast_reader_yields(serve):
    """The file has gigabytes without using the disk. Only a part of it is sent."""
    server = serve("many_clients:app")
    gate = server.word()
    client, waiting, other = server.connect(), server.connect(), server.connect()
    waiting.send(request(f"/turns?{gate}"))
    server.wait_for_log("^taking turns$")
    client.send(request("/file?65536"))
    assert b" 200 OK\r\n" in client.receive_once()
    thread = FastReader(client)
    thread.start()
    enough = json.loads(other.request("/usage").body)[0] + 0.4
    until(lambda: json.loads(other.request("/usage").body)[0] > enough, "the worker has used 0.4 s of CPU time", 30)
    assert thread.is_alive()
    assert server.log("^no more megabytes$") == []
    assert other.request(f"/open?{gate}").status == 200
    assert json.loads(waiting.receive().body) < 0.1
    thread.stop()
    client.reset()
    server.wait_for_log("^no more megabytes$")


def test_reading_from_a_fast_sender_yields(serve):
    server = serve("many_clients:app")
    client = server.connect()
    client.send(request("/read-on?100", method="POST", headers=["Transfer-Encoding: chunked"]))
    stop = threading.Event()

    def send():
        while not stop.is_set():
            client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    other = server.connect()
    spent = [json.loads(other.request("/usage").body)[0] for _ in range(5)]
    stop.set()
    thread.join(10)
    assert max(later - earlier for earlier, later in zip(spent, spent[1:])) < 0.1
    client.send(b"0\r\n\r\n")
    assert int(client.receive().body) % 65536 == 0


@pytest.mark.only(transport="tcp")
def test_heartbeat_continues_while_streaming(serve):
    """Gunicorn kills a worker without a heartbeat for ``timeout`` seconds. ``serve`` checks that it still runs."""
    server = serve("many_clients:app", "--timeout", 2)
    client = server.connect()
    gate = server.word()
    client.send(request(f"/stream?10&{gate}", headers=["Connection: close"]))
    thread = reading(client)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        assert server.connect().request("/count").status == 200
    server.connect().request(f"/open?{gate}")
    thread.join(10)
    assert server.log("WORKER TIMEOUT") == []


def test_slow_senders_and_slow_readers_do_not_stop_others(serve):
    server = serve("many_clients:app")
    heads = [server.connect() for _ in range(50)]
    bodies = [server.connect() for _ in range(50)]
    readers = [server.connect() for _ in range(20)]
    for client in heads:
        client.send(b"GET /count HTTP/1.1\r\n")
    for client in bodies:
        client.send(request("/received", method="POST", headers=["Content-Length: 10"]) + b"01234")
    for client in readers:
        client.send(request("/megabytes?4") + request("/file?4"))
    for _ in range(20):
        assert server.connect().request("/count").status == 200
    for client in heads:
        client.send(b"Host: test\r\n\r\n")
        assert client.receive().status == 200
    for client in bodies:
        client.send(b"56789")
        assert client.receive().body == b"10"
    for client in readers:
        assert (len(client.receive().body), len(client.receive().body)) == (4 << 20, 4 << 20)


@pytest.mark.smoke
def test_pipelining_client_that_never_reads_is_closed(serve):
    """Its responses are short, so they are batched. Other clients are served meanwhile."""
    server = serve("worker_internals:app", "--keep-alive", 60, settings={"write_timeout": 1})
    other, client = server.connect(), server.connect()
    assert client.request().status == 200
    # Those of an earlier test may still be closing.
    until(lambda: int(other.request("/connections").body) == 2, "no other connection is open")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    started = time.monotonic()
    client.send(request("/kilobytes?30") * 400)
    until(lambda: int(other.request("/connections").body) == 1, "the connection is closed")
    assert time.monotonic() - started > 0.8
    assert len(client.read_to_end()) < 400 * 30_000
    assert server.whole_log() == []


# worker_connections

def test_full_worker_closes_the_longest_idle_connection(serve):
    server = serve("many_clients:app", "--worker-connections", 4, "--keep-alive", 60)
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        assert client.request("/count").status == 200
    # The first one is used again, so the second one has been idle for longest.
    assert clients[0].request("/count").status == 200
    newcomer = server.connect()
    assert newcomer.request("/count").status == 200
    clients[1].expect_close()
    for client in (clients[0], clients[2], clients[3], newcomer):
        assert client.request("/count").status == 200


def test_full_worker_without_idle_connections_accepts_after_a_request(serve, tmp_path):
    server = serve("many_clients:app", "--worker-connections", 3, "--keep-alive", 60)
    server.connect().request("/counted", headers=["Connection: close"])
    busy = [server.connect() for _ in range(3)]
    for number, client in enumerate(busy):
        client.send(request(f"/wait-for-file?{tmp_path}/{number}"))
    server.wait_for_log("^waiting$", count=3)
    others = [server.connect() for _ in range(5)]
    for client in others:
        client.send(request("/count?other"))
    (tmp_path / "1").touch()
    for client in (busy[1], *others):
        assert client.receive().status == 200
    for number in (0, 2):
        (tmp_path / str(number)).touch()
        assert busy[number].receive().status == 200
    order = json.loads(server.connect().request("/counted").body)
    assert order[:6] == ["busy"] + ["other"] * 5


def test_worker_connections_applies_to_all_listeners_together(start, tmp_path):
    server = start("many_clients:app", "--worker-connections", 4, "--keep-alive", 60,
                   bind=["127.0.0.1:0", "127.0.0.1:0"])
    first = [server.connect(index=0) for _ in range(4)]
    for client in first:
        assert client.request("/count").status == 200
    second = [server.connect(index=1) for _ in range(4)]
    for client in second:
        assert client.request("/count").status == 200
    for client in first:
        client.expect_close()
    for client in second:
        assert client.request("/count").status == 200
