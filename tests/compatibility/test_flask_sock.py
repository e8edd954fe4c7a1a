"""flask-sock, with the application in examples/websocket."""

from __future__ import annotations

import pytest
from simple_websocket import Client, ConnectionClosed

from support.waiting import WAIT_LIMIT, until
from support.websocket import HELLO, HELLO_BACK, greet, opened

#: From the server, and the response to it, masked with zeros (RFC 6455 section 5.5).
PING, PONG = b"\x89\0", b"\x8a\x80\0\0\0\0"

pytestmark = pytest.mark.library("flask-sock", "simple-websocket", area="WebSockets and events")


@pytest.fixture
def server(library_app):
    return library_app("echo:app", example="websocket")


@pytest.fixture
def pinging(library_app):
    """One that sends a ping each second."""
    return library_app("echo:app", example="websocket", env={"PING_INTERVAL": "1"})


@pytest.fixture
def connect(server):
    """``connect()``: a client."""
    host, port = server.address
    return lambda: Client(f"ws://{host}:{port}/echo")


def wait_for_clients(server, count):
    """Wait until the handlers of so many clients run."""
    client = server.connect()
    until(lambda: int(client.request("/").text.split()[0]) == count, f"{count} clients")


def test_messages_are_echoed(connect):
    """Messages are echoed."""
    client = connect()
    for message in ("hello", "", "x" * 1_000_000, b"bytes \0"):
        client.send(message)
        assert client.receive(timeout=WAIT_LIMIT) == message
    client.close()


def test_many_clients_at_the_same_time(server):
    """300 clients are connected at the same time."""
    connected = [opened(server) for _ in range(300)]
    wait_for_clients(server, 300)
    for client in connected:
        client.send(HELLO)
    for client in connected:
        assert client.read(len(HELLO_BACK)) == HELLO_BACK


def test_message_reaches_all_clients(server, connect):
    """A message reaches all clients of a worker."""
    connected = [connect() for _ in range(20)]
    wait_for_clients(server, 20)
    connected[0].send("all: hello")
    for client in connected:
        assert client.receive(timeout=WAIT_LIMIT) == "all: hello"
        client.close()


def test_server_closes(connect, server):
    """The server closes a connection."""
    client = connect()
    client.send("bye")
    with pytest.raises(ConnectionClosed) as closed:
        client.receive(timeout=WAIT_LIMIT)
    assert (closed.value.reason, closed.value.message) == (1000, "bye")
    wait_for_clients(server, 0)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_closes(server, leave):
    """The handler ends when its client closes or loses the connection."""
    client = opened(server)
    wait_for_clients(server, 1)
    getattr(client, leave)()
    wait_for_clients(server, 0)


def test_silent_client_is_disconnected(pinging):
    """A client that responds to no ping is disconnected."""
    client = opened(pinging)
    assert client.read(len(PING)) == PING
    assert b"Ping/Pong timeout" in client.read_to_end()
    wait_for_clients(pinging, 0)


def test_client_that_responds_to_pings_stays(pinging):
    """A client that responds to pings stays connected."""
    client = opened(pinging)
    for _ in range(3):
        assert client.read(len(PING)) == PING
        client.send(PONG)
    greet(client)
