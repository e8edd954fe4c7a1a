"""Nothing follows bytes that an application has sent on the socket itself. After it only read, a response does."""

from __future__ import annotations

import pytest

from support.client import request
from support.launch import hubs
from support.tls import secured
from support.waiting import until
from support.websocket import ACCESS, HANDSHAKE, STOP, greet

UPPER = ["Upgrade: upper", "Connection: upgrade"]

#: The request parser makes no difference here.
pytestmark = pytest.mark.only(parser="fast")


def over_tcp_and_tls(test):
    return pytest.mark.only(transport="tcp")(pytest.mark.parametrize("security", ["plain", "tls"])(test))


@pytest.fixture
def security():
    return "plain"


@pytest.fixture
def server(serve, security, request):
    options = ("--certfile", request.getfixturevalue("certificate")) if security == "tls" else ()
    return serve("takeovers:app", *ACCESS, *options)


@pytest.fixture
def connect(server, security, trusting):
    return lambda: secured(server, trusting) if security == "tls" else server.connect()


def switched(client, path, headers=UPPER):
    client.send(request(path, headers=headers))
    assert client.receive().status == 101
    return client


def expect_deliberate_error(server, then):
    if then == "fails":
        server.expect_traceback("LookupError: deliberate")


@over_tcp_and_tls
@pytest.mark.parametrize(("then", "status"), [
    ("fails", 500), ("answers", 200), ("answers-in-parts", 200), ("answers-without-end", 200), ("writes", 200),
    ("hints", 101),
])
def test_nothing_follows_bytes_sent_on_the_socket(server, connect, then, status):
    word = server.word()
    client = connect()
    client.send(request(f"/by-hand?with-sendall+and-{then}+{word}", headers=UPPER) + request("/admin") * 2)
    assert client.receive().status == 101
    client.expect_close()
    server.wait_for_log(f"^access .*{word} ")
    expect_deliberate_error(server, then)
    if then == "answers-without-end":
        server.wait_for_log(r"^stopped by close\(\)$")
    assert server.whole_log("admin was served|served to the end|WARNING", connect()) == []
    assert len(server.log("ERROR")) == (then == "fails")
    assert len(server.log(f"^access .*{word} ")) == 1


@pytest.mark.parametrize("then", ["fails", "answers"])
@pytest.mark.parametrize("how", ["a-file", "a-duplicate", "the-descriptor"])
def test_nothing_follows_bytes_sent_in_another_way(server, connect, how, then):
    switched(connect(), f"/by-hand?with-{how}+and-{then}").expect_close()
    expect_deliberate_error(server, then)


def test_no_100_after_bytes_sent_on_the_socket(server, connect):
    headers = [*UPPER, "Content-Length: 5", "Expect: 100-continue"]
    switched(connect(), "/by-hand?with-sendall+and-reads-no-more", headers).expect_close()
    server.wait_for_log("Invalid request from ip=.*: nothing more can be sent on this connection")


@over_tcp_and_tls
@pytest.mark.parametrize("path", ["/while-iterated", "/while-iterated-last", "/generator/while-iterated"])
def test_generator_that_takes_the_socket_while_it_is_iterated(connect, path):
    client = connect()
    client.send(request(path) + request("/admin"))
    came = client.read_to_end()
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert came.endswith(b"by hand")


@pytest.mark.parametrize("middleware", ["", "/generator", "/caught", "/debugger"])
@pytest.mark.parametrize("handler", ["echo", "fails"])
@pytest.mark.parametrize(
    ("hub", "library"),
    [(hub, "flask-sock") for hub in hubs()] + [("eventlet", "eventlet")] * ("eventlet" in hubs()), scope="session")
def test_no_http_follows_a_websocket(server, connect, library, middleware, handler):
    client = switched(connect(), f"{middleware}/{library}/{handler}", HANDSHAKE)
    greet(client)
    if handler == "echo":
        client.send(STOP)
    came = client.read_to_end()
    assert b"HTTP" not in came
    if handler == "echo":
        assert came[:1] == b"\x88"
        assert server.whole_log("ERROR|WARNING") == []
    elif library == "flask-sock" or middleware not in ("/caught", "/debugger"):
        server.expect_traceback("LookupError: deliberate")


# Applications that only read


#: Properties of the socket, and how their values begin.
PROPERTIES = {"getpeername": b"('127.0.0.1', ", "getsockname": b"('127.0.0.1', ", "getsockopt": b"",
              "setsockopt": b"None", "family": b"<AddressFamily.AF_INET: ", "type": b"<SocketKind.SOCK_STREAM: ",
              "proto": b""}


@over_tcp_and_tls
@pytest.mark.parametrize("name", PROPERTIES)
def test_property_does_not_affect_the_connection(connect, name):
    client = connect()
    before = int(client.request("/descriptors").body)
    for _ in range(2):
        response = client.request(f"/fact?{name}")
        assert (response.status, response.closes) == (200, False)
        assert response.body.startswith(PROPERTIES[name])
    until(lambda: int(client.request("/descriptors").body) <= before, "its file descriptor is closed")


@over_tcp_and_tls
@pytest.mark.parametrize("path", ["/looks-in-parts", "/generator/prepares", "/prepares"])
def test_response_after_a_read_is_the_last(server, connect, path):
    client = connect()
    response = client.request(path)
    assert response.status in (200, 400)
    assert response.closes
    client.expect_close()
    assert server.whole_log("ERROR|WARNING", connect()) == []


@over_tcp_and_tls
def test_no_request_is_served_after_a_read_that_follows_the_head(server, connect):
    client = connect()
    client.send(request("/looks-after-the-head") + request("/admin"))
    response = client.receive()
    assert (response.body, response.closes) == (b"the head", False)
    client.expect_close()
    assert server.whole_log("admin was served", connect()) == []


def test_unread_body_after_a_read_is_not_taken_for_a_request(server, connect):
    client = connect()
    response = client.request("/prepares", method="POST", body=request("/admin"))
    assert (response.status, response.closes) == (400, True)
    client.expect_close()
    assert server.whole_log("admin was served") == []


@pytest.mark.parametrize("path", ["/looks", "/generator/looks"])
def test_response_after_a_check_of_the_client(connect, path):
    client = connect()
    assert client.request(path).closes
    client.expect_close()


def test_error_page_after_a_check_of_the_client(server, connect):
    client = connect()
    response = client.request("/looks?and-fails")
    assert (response.status, response.closes) == (500, True)
    client.expect_close()
    server.expect_traceback("LookupError: deliberate")


def test_refused_handshake_gets_a_response(connect):
    client = connect()
    response = client.request("/prepares", headers=HANDSHAKE)
    assert (response.status, response.body, response.closes) == (400, b"no such protocol", True)
    client.expect_close()


@pytest.mark.parametrize("path", ["/flask-sock/echo", "/generator/flask-sock/echo"])
def test_handshake_refused_by_a_library_gets_a_response(server, connect, path):
    # The Sec-WebSocket-Key is missing.
    response = connect().request(path, headers=["Upgrade: websocket", "Connection: Upgrade"])
    assert response.status == 500
    server.expect_traceback("Error")
    assert server.connect().request("/").body == b"ok"
