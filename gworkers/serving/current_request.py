"""The entries of gworkers in each environ. They act on the request that the calling greenlet serves.

The same objects serve all requests, so a request that does not use them pays nothing.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server


def entries(server: Server) -> dict[str, object]:
    """Return the entries for the environs of *server*."""
    client = CurrentClient(server)
    return {"gworkers.deadline": CurrentDeadline(server).set, "gworkers.client_gone": client,
            "gworkers.wait_client_gone": client.wait}


def _connection(server: Server) -> Connection:
    """Return the connection of the request that the current greenlet serves.

    :raises RuntimeError: if it serves none
    """
    connection = cast("Connection | None", server.greenlets.active.get(server.hub.current_greenlet()))
    # There is no response in the hook post_request, which must not limit the next request.
    if connection is None or connection.response is None:
        raise RuntimeError("this works in the greenlet of a request only, not in one that the request has started")
    return connection


class CurrentDeadline:
    """The time limit of the current request."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def set(self, seconds: float | None) -> None:
        """Limit the time of the request: ``environ["gworkers.deadline"]``.

        :param seconds: from now on; None for no limit
        :raises RuntimeError: outside of a request's own greenlet
        :raises ValueError: if *seconds* is negative
        """
        if seconds is not None and not seconds >= 0:
            raise ValueError(f"the deadline must be None or a number of seconds that is not negative, not {seconds!r}")
        self._server.limits.set(_connection(self._server), seconds)


class CurrentClient:
    """The value of ``environ["gworkers.client_gone"]``: true when the client of the current request has left.

    :raises RuntimeError: outside of a request's own greenlet
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def __bool__(self) -> bool:
        return self._server.clients.is_gone(_connection(self._server))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client has left, for at most *timeout* seconds. Return whether it has."""
        return self._server.clients.wait(_connection(self._server), timeout)
