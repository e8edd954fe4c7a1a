"""Handing a connection's socket over to the application: WebSocket, CONNECT and the like."""
from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.connection import Connection


class OfferedSocket:
    """Stands for the socket of a connection in ``environ["gunicorn.socket"]``.

    Most requests never look at it, so the socket itself, cooperative and of the hub's own
    kind, is made when an attribute of it is first asked for.
    """

    __slots__ = ("_connection", "_socket")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._take(), name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # isinstance() is to see the kind of socket, not its stand-in; that alone must not make one.
        return self._connection.socket_class

    @property
    def taken(self) -> bool:
        """Whether the application has asked for it."""
        return self._socket is not None

    def shut_down(self) -> None:
        """End the connection for whoever still waits on the socket, which is closed when nobody has it any more."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _take(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._connection.offer_socket()
        return self._socket
