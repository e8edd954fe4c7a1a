"""Whether a server has room for another connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.serving.server import Server


class Crowded:
    """As much of a server with as many connections as it may have as ``has_room`` uses."""

    def __init__(self, waiting: bool, readable: bool) -> None:
        self.connections = {object()}
        self._limit = 1
        self.has_waiting = waiting
        self.hub = SimpleNamespace(is_readable=lambda fd: readable)
        self.full = False
        self.evicted = 0
        self.listeners = [SimpleNamespace(pause=lambda: None)]

    def evict(self, count: int) -> int:
        self.evicted += count
        return count


@pytest.mark.parametrize(("waiting", "readable", "room", "evicted", "full"), [
    (True, True, True, 1, False),
    # Another worker has accepted the connection: no client is closed for it.
    (True, False, False, 0, False),
    (False, True, False, 0, True),
])
def test_full_server(waiting: bool, readable: bool, room: bool, evicted: int, full: bool) -> None:
    server: Any = Crowded(waiting, readable)
    assert Server.has_room(server, 3) is room
    assert (server.evicted, server.full) == (evicted, full)


def test_server_below_its_limit() -> None:
    server: Any = Crowded(waiting=True, readable=True)
    server._limit = 2
    assert Server.has_room(server, 3)
    assert server.evicted == 0
