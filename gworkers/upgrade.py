"""Handing a connection's socket over to the application: WebSocket, CONNECT and the like."""
from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.connection import Connection


#: What says something of a TLS connection and leaves it alone.
TLS_FACTS = frozenset("""
    cipher compression context family get_channel_binding getpeercert getpeername getsockname getsockopt proto
    selected_alpn_protocol server_hostname server_side session session_reused shared_ciphers type version
    """.split())


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
        if name in TLS_FACTS and self._socket is None and self._connection.secure:
            return getattr(self._connection.sock, name)
        return getattr(self._take(), name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # isinstance() is to see the kind of socket, not its stand-in; that alone must not make one.
        connection = self._connection
        return type(connection.sock) if connection.secure else connection.server.hub.socket_class

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
            # A duplicate, so that neither side closes what the other still needs. A TLS session cannot be duplicated.
            connection = self._connection
            duplicate = connection.server.hub.socket
            self._socket = connection.hand_over() if connection.secure else duplicate(connection.sock)
        return self._socket
