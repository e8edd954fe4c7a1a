"""A connection that is closed is freed at once, in whatever way it ends, and not by the garbage collector.

The exception is an application that keeps a reference to it, for instance through the environ, as flask-sock does.
"""

from __future__ import annotations

import select
import socket
import sys

import pytest

from support.endings import BY_TIMEOUT, CLOSE, SETTINGS, SHORT, WAYS, assert_nothing_remains
from support.waiting import until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython counts references")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("greenlets", ["reused", "fresh"])
@pytest.mark.log_handler(waits="records of the access log refer to the request while they wait")
def test_connection_is_freed(serve, way, greenlets):
    server = serve("remaining_objects:app", "--keep-alive", 60, "--access-logfile", "-",
                   settings=SETTINGS | {"request_greenlets": greenlets})
    server.connect().request("/open?always-open", headers=CLOSE)
    assert_nothing_remains(server.connect, lambda: way(server))


@pytest.mark.parametrize("way", BY_TIMEOUT)
@pytest.mark.sample(2)
def test_connection_is_freed_after_a_timeout(serve, way):
    server = serve("remaining_objects:app", "--keep-alive", 1, settings=SHORT)
    assert_nothing_remains(server.connect, lambda: way(server))


def closed(client):
    """Whether the server has closed the connection."""
    return bool(select.select([client.sock], [], [], 0)[0]) and client.sock.recv(1, socket.MSG_PEEK) == b""


def test_connection_that_makes_room_is_freed(serve):
    server = serve("remaining_objects:app", "--worker-connections", 3, "--keep-alive", 60,
                   settings={"head_timeout": 60})

    def make_room():
        clients = []
        for _ in range(6):
            clients.append(server.connect())  # silent
            clients.append(server.connect())
            clients[-1].request("/")
        # Which of them stay open depends on the age of the silent ones.
        until(lambda: sum(map(closed, clients)) == len(clients) - 3, "all but three are closed")
        server.close_clients()

    assert_nothing_remains(server.connect, make_room)
