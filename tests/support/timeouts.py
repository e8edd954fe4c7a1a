"""Timeouts of request heads, by the clock of the server."""

from __future__ import annotations

from support.server import Server

#: The beginning of what is logged of a request that is refused.
INVALID = "Invalid request from ip="


def tick(server: Server) -> None:
    """Let ``head_timeout`` pass once, by the server's own clock."""
    client = server.connect()
    client.send(b"GET / HT")
    assert client.receive().status == 408
