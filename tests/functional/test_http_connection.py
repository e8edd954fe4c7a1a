"""One connection, several requests: RFC 9112 section 9."""

from __future__ import annotations

import itertools
import json
import socket
import time

import pytest

from support.client import chunked, request


@pytest.mark.parametrize(("version", "headers", "kept"), [
    ("1.1", [], True),
    ("1.1", ["Connection: keep-alive"], True),
    ("1.1", ["Connection: Keep-Alive"], True),
    ("1.1", ["Connection: close"], False),
    ("1.1", ["Connection: Close"], False),
    ("1.1", ["Connection:\tclose "], False),
    ("1.0", [], False),
    ("1.0", ["Connection: keep-alive"], True),
    ("1.0", ["Connection: Keep-Alive"], True),
    ("1.0", ["Connection: close"], False),
])
@pytest.mark.smoke
def test_keep_alive(site, version, headers, kept):
    client = site("bodies").connect()
    for _ in range(3 if kept else 1):
        response = client.request("/echo", method="POST", version=version, headers=headers, body=b"hello")
        assert response.body == b"hello"
        assert response.header("connection") == ("keep-alive" if kept else "close")
    if not kept:
        client.expect_close()


def test_keepalive_0_closes_after_each_request(site):
    for version in ("1.1", "1.0"):
        client = site("bodies", "--keep-alive", 0).connect()
        response = client.request("/ignored", version=version, headers=["Connection: keep-alive"])
        assert (response.body, response.closes) == (b"not read", True)
        client.expect_close()


def test_pipelined_requests_are_answered_in_order(site):
    client = site("bodies").connect()
    bodies = [f"number {number}".encode() for number in range(100)]
    client.send(b"".join(request("/echo", method="POST", body=body) for body in bodies))
    assert [client.receive().body for _ in bodies] == bodies


@pytest.mark.smoke(validated=True)
def test_pipelined_requests_of_every_kind(site):
    client = site("bodies").connect()
    kinds = [
        (request("/echo", method="POST", body=b"length"), b"length"),
        (request("/echo", method="POST", headers=["Transfer-Encoding: chunked"], body=chunked(b"chu", b"nked")),
         b"chunked"),
        (request("/ignored"), b"not read"),
        (request("/ignored", method="POST", body=b"GET /echo HTTP/1.1\r\n\r\n"), b"not read"),
        (request("/ignored", method="PUT", headers=["Transfer-Encoding: chunked"],
                 body=chunked(b"GET /echo HTTP/1.1\r\n\r\n")), b"not read"),
        (request("/ignored-parts", method="POST", body=b"x" * 100), b"not read"),
        (request("/some?3", method="POST", body=b"partly"), b"par"),
        (request("/echo", method="POST", body=b""), b""),
    ]
    orders = list(itertools.permutations(kinds, 2))
    client.send(b"".join(first + second for (first, _), (second, _) in orders))
    for (_, first), (_, second) in orders:
        assert (client.receive().body, client.receive().body) == (first, second)


@pytest.mark.slow
def test_pipelined_requests_split_anywhere(site):
    client = site("bodies").connect()
    data = request("/echo", method="POST", body=b"one") + request("/ignored", method="POST", body=b"two")
    for split in range(1, len(data)):
        client.send_pieces([data[:split], data[split:]])
        assert (client.receive().body, client.receive().body) == (b"one", b"not read"), f"split at {split}"


@pytest.mark.smoke
def test_request_byte_by_byte(site):
    client = site("bodies").connect()
    data = request("/echo", method="POST", headers=["Transfer-Encoding: chunked"], body=chunked(b"on", b"e"))
    client.send_pieces(bytes([byte]) for byte in data * 2)
    assert (client.receive().body, client.receive().body) == (b"one", b"one")


def test_nothing_is_served_after_a_close(site):
    server = site("bodies")
    client = server.connect()
    client.send(request("/echo", headers=["Connection: close"]) + request("/echo") * 3)
    assert client.receive().closes
    client.expect_close()
    assert server.whole_log() == []


def test_one_empty_line_before_a_request_is_ignored(site):
    client = site("bodies").connect()
    client.send(b"\r\n" + request("/ignored"))
    assert client.receive().status == 200
    client.send(b"\r\n" + request("/ignored"))
    assert client.receive().status == 200


@pytest.mark.smoke
def test_bad_request_after_good_ones_is_refused(serve):
    server = serve("bodies:app")
    client = server.connect()
    client.send(request("/ignored") * 2 + b"no request\r\n\r\n" + request("/ignored"))
    assert [client.receive().status for _ in range(3)] == [200, 200, 400]
    client.expect_close()
    assert len(server.whole_log("Invalid request from ip=")) == 1


def test_half_closed_client_gets_its_responses(site):
    client = site("bodies").connect()
    client.send(request("/echo", method="POST", body=b"one") + request("/ignored"))
    client.half_close()
    assert (client.receive().body, client.receive().body) == (b"one", b"not read")
    client.expect_close()


@pytest.mark.smoke
def test_disconnect_is_not_logged(site):
    server = site("bodies")
    for data in (b"", b"G", b"\r\n", request("/ignored")[:-2], request("/ignored")):
        for leave in ("close", "reset"):
            client = server.connect()
            if data:
                client.send(data)
                client.wait_until_read()
            getattr(client, leave)()
    assert server.whole_log() == []


def test_half_closed_idle_connection_is_closed(site):
    for data in (b"", b"GET / HTT", request("/ignored")[:-2]):
        client = site("bodies").connect()
        client.send(data)
        client.half_close()
        client.expect_close()


def test_idle_connection_is_closed_after_keepalive(site):
    client = site("bodies", "--keep-alive", 1).connect()
    for _ in range(2):
        assert not client.request("/ignored").closes
    client.expect_close()


@pytest.mark.only(transport="tcp")
def test_tcp_nodelay_is_set(serve):
    client = serve("bodies:app").connect()
    assert client.request("/option").body == b"1"


@pytest.mark.parametrize("path", ["/ignored", "/ignored-parts", "/some?100"])
@pytest.mark.parametrize("framed", ["length", "chunked"])
def test_unread_body_up_to_the_limit_keeps_the_connection(site, path, framed):
    server = site("bodies", "--keep-alive", 60, settings={"discard_body_limit": 5000})
    client = server.connect()
    for size in (1, 100, 2048, 4900):
        if framed == "length":
            data = request(path, method="POST", body=b"x" * size)
        else:
            data = request(path, method="POST", headers=["Transfer-Encoding: chunked"], body=chunked(b"x" * size))
        client.send(data)
        assert client.receive().status == 200
        assert client.request("/echo", method="POST", body=b"next").body == b"next"


@pytest.mark.parametrize("path", ["/ignored", "/ignored-parts", "/some?100"])
@pytest.mark.parametrize("framed", ["length", "chunked"])
def test_unread_body_beyond_the_limit_closes(site, path, framed):
    client = site("bodies", "--keep-alive", 60, settings={"discard_body_limit": 5000}).connect()
    body = b"GET /echo HTTP/1.1\r\nHost: smuggled\r\n\r\n" * 10000
    if framed == "length":
        data = request(path, method="POST", body=body)
    else:
        data = request(path, method="POST", headers=["Transfer-Encoding: chunked"], body=chunked(body, body))
    client.send(data)
    assert client.receive().status == 200
    client.expect_close()


def test_discard_body_limit_0_closes_after_any_unread_body(site):
    server = site("bodies", "--keep-alive", 60, settings={"discard_body_limit": 0})
    client = server.connect()
    assert client.request("/echo", method="POST", body=b"read").body == b"read"
    assert client.request("/ignored").body == b"not read"
    assert client.request("/ignored", method="POST", body=b"x").status == 200
    client.expect_close()


def test_unread_body_is_discarded_as_it_arrives(site):
    client = site("bodies").connect()
    client.send(request("/ignored", method="POST", headers=["Content-Length: 6"]))
    assert client.receive().status == 200
    client.send_pieces([b"abc", b"def"])
    assert client.request("/echo", method="POST", body=b"next").body == b"next"


@pytest.mark.only(transport="tcp", parser="fast")
@pytest.mark.parametrize("path", ["/ignored", "/ignored-parts", "/some?2"])
@pytest.mark.parametrize("framed", ["length", "chunked"])
@pytest.mark.smoke
def test_unread_body_that_stalls_closes_after_linger_timeout(site, path, framed):
    """``linger_timeout`` applies, not ``body_timeout``. Nothing is logged, because this is no error."""
    server = site("bodies", "--keep-alive", 60, settings={"linger_timeout": 0.3, "body_timeout": 60})
    client = server.connect()
    if framed == "length":
        client.send(request(path, method="POST", headers=["Content-Length: 10"]) + b"abc")
    else:
        client.send(request(path, method="POST", headers=["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\n5\r\nde")
    answered = time.monotonic()
    assert client.receive().status == 200
    client.expect_close()
    assert 0.2 < time.monotonic() - answered < 5
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        flood(client)
    assert server.whole_log() == []


@pytest.mark.parametrize(("path", "head"), [
    ("/ignored", request("/ignored", method="POST", headers=["Content-Length: 3145728"])),
    ("/ignored", request("/ignored", method="POST", headers=["Content-Length: 3145728", "Connection: close"])),
    ("/fails", request("/fails", method="POST", headers=["Content-Length: 3145728"])),
    ("bad", b"POST  / HTTP/1.1\r\nContent-Length: 3145728\r\n\r\n"),
    ("large", b"GET / HTTP/1.1\r\nX-Large: " + b"x" * 20000),
])
def test_response_is_not_lost_to_a_reset(serve, path, head):
    server = serve("bodies:app")
    client = server.connect()
    client.send(head)
    client.send(b"x" * 3145728)
    response = client.receive()
    assert response.status == {"/ignored": 200, "/fails": 500, "bad": 400, "large": 431}[path]
    client.expect_close()
    if path == "/fails":
        server.expect_traceback("LookupError")


def flood(client):
    """Send until it fails, for at most ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        client.send(b"x" * 65536)


def test_lingering_close_ends_after_linger_timeout(serve):
    server = serve("bodies:app", settings={"linger_timeout": 0.3})
    client = server.connect()
    client.send(b"no request\r\n\r\n")
    assert client.receive().status == 400
    client.expect_close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        flood(client)


def test_lingering_close_discards_a_limited_number_of_bytes(serve):
    client = serve("bodies:app", settings={"linger_timeout": 60}).connect()
    client.send(b"no request\r\n\r\n")
    assert client.receive().status == 400
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        flood(client)


def test_requests_of_many_connections(site):
    server = site("bodies")
    clients = [server.connect() for _ in range(100)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(request("/echo", method="POST", body=f"{turn}/{number}".encode()))
        for number, client in enumerate(clients):
            assert client.receive().body == f"{turn}/{number}".encode()


def test_socket_is_given_to_the_application(serve):
    server = serve("bodies:app")
    seen = json.loads(server.connect().request("/peer").body)
    assert seen["family"] == int(socket.AF_INET if server.setup.transport == "tcp" else socket.AF_UNIX)
    assert seen["hub"] == server.setup.hub
