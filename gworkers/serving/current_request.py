"""The entries of gworkers in each environ, and of the hub's library. They act on the request of the calling greenlet.

The same objects serve all requests, so a request that does not use them pays nothing.
"""
from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gworkers.http1.response import Response
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server
    from gworkers.serving.taken_socket import OfferedSocket


def entries(server: Server) -> dict[str, object]:
    """Return the entries for the environs of *server*."""
    client, request = CurrentClient(server), CurrentRequest(server)
    return {"gworkers.deadline": CurrentDeadline(server).set, "gworkers.client_gone": client,
            "gworkers.wait_client_gone": client.wait, "gworkers.end_in_drain": request.end_in_drain,
            **server.hub.environ_entries(request)}


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


class CurrentRequest:
    """See :class:`gworkers.hubs.base.CurrentRequest`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def _response(self) -> Response:
        response = _connection(self._server).response
        assert response is not None
        return response

    @property
    def environ(self) -> Mapping[str, Any]:
        """Its environ."""
        return self._response.environ

    @property
    def body(self) -> Any:
        """The value of ``wsgi.input``."""
        return self._response.req.body

    @property
    def socket(self) -> OfferedSocket:
        """The value of ``gunicorn.socket``."""
        return _connection(self._server).offer

    def call_after(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the greenlet of the request when the response is sent."""
        response = self._response
        # Otherwise a callback that takes long would delay the response.
        response.call_after(self._server.outbox.flush_before_send)
        response.call_after(callback)

    def end_in_drain(self) -> None:
        """Disconnect the client when a drain begins, instead of waiting for the request.

        This is ``environ["gworkers.end_in_drain"]``.

        :raises RuntimeError: outside of a request's own greenlet
        """
        connection = _connection(self._server)
        connection.ends_in_drain = True
        self._response.call_after(partial(setattr, connection, "ends_in_drain", False))
