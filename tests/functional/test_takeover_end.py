"""The state after a takeover, and requests that only look like one."""

from __future__ import annotations

from support.client import request
from support.websocket import ACCESS, greet, opened


def test_websocket_outlives_the_deadlines_of_requests(serve):
    server = serve("sockets:app", "--keep-alive", 1,
                   settings={"head_timeout": 0.3, "body_timeout": 0.3, "write_timeout": 0.3})
    client = opened(server)
    other = server.connect()
    other.send(b"GET / HT")
    assert other.receive().status == 408
    other.read_to_end()
    idle = server.connect()
    assert idle.request("/").body == b"plain"
    idle.expect_close()
    greet(client)


def test_websocket_handler_that_fails(serve):
    server = serve("sockets:app")
    client = opened(server, "/fails")
    greet(client)
    server.expect_traceback("LookupError: deliberate")
    client.read_to_end()
    assert server.connect().request("/").body == b"plain"


def test_takeover_by_hand(serve):
    server = serve("sockets:app", *ACCESS)
    client = server.connect()
    client.send(request("/by-hand", headers=["Upgrade: upper", "Connection: upgrade"]))
    assert client.receive().status == 101
    for word in (b"one", b"two"):
        client.send(word)
        assert client.read(3) == word.upper()
    client.half_close()
    client.expect_close()
    server.wait_for_log("^taken over and done$")
    assert len(server.whole_log("^access .* GET /by-hand")) == 1


def test_large_messages_of_two_threads_are_sent_one_after_the_other(serve):
    server = serve("sockets:app")
    client = server.connect()
    client.send(request("/large", headers=["Upgrade: large", "Connection: upgrade"]))
    received = client.read_to_end()
    assert len(received) == 16_000_000
    assert received[:8_000_000] in (b"a" * 8_000_000, b"b" * 8_000_000)
    assert len(set(received[8_000_000:])) == 1
    server.wait_for_log(r"^sent \[8000000, 8000000\]$")


def test_already_handled(serve):
    server = serve("sockets:app")
    client = server.connect()
    client.send(request("/handled") * 2)
    assert client.receive().body == b"mine"
    client.expect_close()
    assert server.whole_log() == []


def test_stop_iteration_alone_is_an_error(serve):
    server = serve("sockets:app")
    assert server.connect().request("/raised").status == 500
    server.expect_traceback("StopIteration")
