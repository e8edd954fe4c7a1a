"""Ways in which a connection ends, and a check that nothing of it remains."""

from __future__ import annotations

import json

from support.client import chunked, request
from support.timeouts import tick
from support.waiting import until

#: Short timeouts: some clients do not close their side.
SETTINGS = {"linger_timeout": 0.3}
#: For ways to end by a timeout.
SHORT = {"handshake_timeout": 1, "head_timeout": 1, "body_timeout": 1, "write_timeout": 1, "linger_timeout": 0.3}
CHUNKED = ["Transfer-Encoding: chunked"]
CLOSE = ["Connection: close"]


def closes(server, target, **more):
    client = server.connect()
    client.request(target, headers=[*more.pop("headers", ()), *CLOSE], **more)
    client.expect_close()


def closed_as_the_client_asked(server):
    for target in ("/", "/one", "/streamed?always-open", "/hinted", "/large?1000000", "/file?1"):
        closes(server, target)


def closed_by_the_client(server):
    client = server.connect()
    for target in ("/", "/one", "/file?1"):
        client.request(target)
    client.close()


def kept_alive_for_too_long(server):
    client = server.connect()
    client.request("/")
    client.expect_close()


def http_1_0(server):
    client = server.connect()
    assert client.request("/one", version="1.0").closes
    client.expect_close()


def pipelined(server):
    client = server.connect()
    client.send(request("/") * 5 + request("/", headers=CLOSE))
    for _ in range(6):
        client.receive()
    client.expect_close()


def refused(server):
    client = server.connect()
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    client.expect_close()


def left_after_a_refusal(server):
    client = server.connect()
    client.send(b"nonsense\r\n\r\n")
    client.reset()


def head_too_late(server):
    client = server.connect()
    client.send_pieces([b"GET / ", b"HTTP/1.1\r\n", b"Host: a\r\n"])
    assert client.receive().status == 408
    client.expect_close()


def silent(server):
    server.connect().expect_close()


def left_during_a_head(server):
    client = server.connect()
    client.send_pieces([b"GET / ", b"HTTP/1.1\r\n"])
    client.close()


def body_read(server):
    for headers, body in ((["Content-Length: 5"], b"hello"), (CHUNKED, chunked(b"hello", trailers=["X: y"]))):
        closes(server, "/received", method="POST", headers=headers, body=body)


def body_too_late(server):
    for headers, body in ((["Content-Length: 5"], b"hell"), (CHUNKED, b"5\r\nhell"), (CHUNKED, b"0\r\nX: y")):
        client = server.connect()
        client.send(request("/received", method="POST", headers=headers) + body)
        assert client.receive().status == 408
        client.expect_close()


def body_expected(server):
    client = server.connect()
    client.send(request("/received", method="POST", headers=["Expect: 100-continue", "Content-Length: 5", *CLOSE]))
    assert client.receive_once().startswith(b"HTTP/1.1 100 ")
    client.send(b"hello")
    client.receive()
    client.expect_close()


def body_refused(server):
    client = server.connect()
    client.send(request("/received", method="POST", headers=CHUNKED) + b"none\r\n")
    assert client.receive().status == 400
    client.expect_close()


def body_not_read(server):
    client = server.connect()
    client.send(request("/", method="POST", headers=["Content-Length: 1000000"]) + b"some")
    client.receive()
    client.expect_close()


def body_read_in_the_background(server):
    client = server.connect()
    client.send(request("/read-in-background", method="POST", headers=["Content-Length: 5"]) + b"some")
    client.receive()
    server.wait_for_log("^stopped reading$")
    client.close()


def left_during_a_body(server):
    for leave in ("close", "reset"):
        client = server.connect()
        client.send(request("/received", method="POST", headers=["Content-Length: 5"]) + b"hell")
        client.wait_until_read()
        getattr(client, leave)()
        server.wait_for_log("^body failed")
        server.begin()


def slow_reader(server):
    client = server.connect()
    client.send(request("/large?20000000", headers=CLOSE))
    assert len(client.receive().body) == 20_000_000 // 256 * 256
    client.expect_close()


def slow_reader_of_short_responses(server):
    client = server.connect()
    client.send(request("/large?30000") * 400 + request("/", headers=CLOSE))
    for _ in range(401):
        client.receive()
    client.expect_close()


def reader_that_stops(server):
    clients = [server.connect() for _ in range(4)]
    for client, data in zip(clients, (request("/megabytes?40"), request("/large?40000000"), request("/file?40"),
                                      request("/large?30000") * 1000)):
        client.send(data)
    tick(server)
    tick(server)
    for client in clients:
        client.read_to_end()


def left_during_a_response(server):
    for target in ("/megabytes?40", "/large?40000000", "/file?40"):
        client = server.connect()
        client.send(request(target))
        assert client.receive_once()
        client.reset()


def left_before_the_response(server):
    client = server.connect()
    gate = server.word()
    client.send(request(f"/wait?{gate}"))
    server.wait_for_log("^waiting$")
    client.reset()
    server.connect().request(f"/open?{gate}", headers=CLOSE)


def error_of_the_application(server):
    client = server.connect()
    client.send(request("/fails"))
    assert client.receive().status == 500
    client.expect_close()
    server.expect_traceback("LookupError: deliberate")


def late_error_of_the_application(server):
    client = server.connect()
    client.send(request("/closing-after-error?late"))
    client.read_to_end()
    server.expect_traceback("LookupError: deliberate")


def taken_over(server):
    for leave in ("half_close", "close"):
        client = server.connect()
        client.send(request("/by-hand", headers=["Upgrade: upper", "Connection: upgrade"]))
        assert client.receive().status == 101
        client.send(b"one")
        assert client.read(3) == b"ONE"
        getattr(client, leave)()
        server.wait_for_log("^taken over and done$")
        server.begin()


def answered_on_the_socket(server):
    client = server.connect()
    client.send(request("/handled"))
    assert client.receive().body == b"mine"
    client.expect_close()


BY_TIMEOUT = [kept_alive_for_too_long, head_too_late, silent, body_too_late, reader_that_stops]
WAYS = [closed_as_the_client_asked, closed_by_the_client, http_1_0, pipelined, refused, left_after_a_refusal,
        left_during_a_head, body_read, body_expected, body_refused, body_not_read, body_read_in_the_background,
        left_during_a_body, slow_reader, slow_reader_of_short_responses, left_during_a_response,
        left_before_the_response, error_of_the_application, late_error_of_the_application, taken_over,
        answered_on_the_socket]


def remaining(client):
    """How many connections, requests and responses there are in the worker, besides those of who asks."""
    return [count - 1 for count in json.loads(client.request("/remaining", headers=CLOSE).body)]


def assert_nothing_remains(connect, way):
    """Nothing is there after *way* that was not there before; *connect* returns a new client."""
    before = remaining(connect())
    way()
    found = []

    def nothing_new():
        found.append(remaining(connect()))
        return found[-1] == before

    until(nothing_new, f"nothing but {before} remains: {found}")
