"""A WebSocket that fails behind a proxy. Its client cannot send HTTP past the rules of the proxy."""

from __future__ import annotations

import contextlib

import pytest

from support.client import request
from support.launch import hubs
from support.nginx import NGINX, WEBSOCKETS, Nginx
from support.websocket import STOP, greet, shake_hands

#: eventlet.websocket works only on the eventlet hub.
LIBRARIES = [(hub, "flask-sock") for hub in hubs()] + [("eventlet", "eventlet")] * ("eventlet" in hubs())

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.only(transport="tcp", parser="fast"),
    pytest.mark.parametrize(("hub", "library"), LIBRARIES, scope="session"),
]


@pytest.fixture
def server(serve):
    return serve("takeovers:app")


@pytest.fixture
def proxy(server):
    proxy = Nginx(WEBSOCKETS.format(upstream="{}:{}".format(*server.address)))
    yield proxy
    proxy.stop()


def tunnel(proxy, path):
    """A client after its handshake, whose bytes the proxy no longer checks."""
    return greet(shake_hands(proxy.connect(), path))


@pytest.mark.parametrize("middleware", ["", "/generator", "/caught"])
def test_client_of_a_failed_websocket_does_not_reach_a_forbidden_location(server, proxy, library, middleware):
    assert proxy.connect().request("/admin").status == 403
    client = tunnel(proxy, f"{middleware}/{library}/fails")
    came = b""
    with contextlib.suppress(ConnectionError):
        for _ in range(20):
            client.send(request("/admin"))
            part = client.receive_once()
            if not part:
                break
            came += part
    # Only the WebSocket library may respond to bytes that are not a frame.
    assert b"HTTP" not in came
    assert server.whole_log("admin was served") == []
    if library == "flask-sock" or middleware != "/caught":
        server.expect_traceback("LookupError: deliberate")


@pytest.mark.parametrize("middleware", ["", "/generator", "/caught"])
def test_nothing_follows_a_websocket_that_ends_normally(server, proxy, library, middleware):
    client = tunnel(proxy, f"{middleware}/{library}/echo")
    client.send(STOP)
    came = client.read_to_end()
    assert came[:1] == b"\x88"
    assert b"HTTP" not in came
    assert server.whole_log("ERROR|WARNING") == []
