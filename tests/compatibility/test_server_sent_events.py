"""Server-sent events, with the application in examples/events."""

from __future__ import annotations

import signal

import pytest

from support.client import request
from support.waiting import until

pytestmark = pytest.mark.library("flask", area="Web frameworks")


@pytest.fixture
def server(library_app):
    return library_app("feed:app", example="events")


def subscribed(server):
    """A client that has received the beginning of the stream."""
    client = server.connect()
    client.send(request("/events"))
    read_to(client, b"retry: 1000\n\n\r\n")
    return client


def read_to(client, end):
    received = b""
    while not received.endswith(end):
        received += client.receive_once()


def publish(server, text):
    assert server.connect().request("/events", method="POST", body=text).status == 204


def clients(server):
    return int(server.connect().request("/").text.split()[0])


def test_events_reach_all_clients(server):
    """Server-sent events reach 100 clients."""
    connected = [subscribed(server) for _ in range(100)]
    publish(server, b"hello\nworld")
    for client in connected:
        read_to(client, b"data: hello\ndata: world\n\n\r\n")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_stream_ends_when_its_client_leaves(server, leave):
    """Their generator ends when its client leaves, although there are no events."""
    gone, left = subscribed(server), subscribed(server)
    assert clients(server) == 2
    getattr(gone, leave)()
    until(lambda: clients(server) == 1, "the generator ends", limit=5)
    publish(server, b"hello")
    read_to(left, b"data: hello\n\n\r\n")


def test_stop_does_not_wait_for_clients(library_app):
    server = library_app("feed:app", "--graceful-timeout", 600, example="events")
    client = subscribed(server)
    server.signal(signal.SIGTERM)
    client.read_to_end()
    assert server.wait_for_exit() == 0
