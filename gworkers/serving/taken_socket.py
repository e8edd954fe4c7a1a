"""Handing a connection's socket over to the application: WebSocket, CONNECT and the like.

What the application does with it decides what may follow:

- it asks for a fact or sets an option (:data:`FACTS`): the connection goes on;
- it looks at the stream or receives from it (:data:`LOOKS`), for instance to see whether its client is still there: an
  HTTP response may follow, and the connection ends with it;
- it does anything else, and so may have sent something: nothing more is sent, no response and no error page, and the
  connection is closed when the application has returned. What the peer takes for a tunnel never carries HTTP again.

``fileno`` is what ``select`` asks for, but one can write to a descriptor as well. It counts as a look, except in a
request for another protocol (RFC 9110 section 7.8).
"""
from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from gworkers.serving.transport import Transport

#: What says something of a connection, or sets an option, and leaves its stream alone.
FACTS = frozenset("""
    family getpeername getsockname getsockopt proto setsockopt type
    cipher compression context get_channel_binding getpeercert selected_alpn_protocol server_hostname server_side
    session session_reused shared_ciphers version
    """.split())

#: A connection's own socket is of the type that Python's are made of, which has numbers in their place.
ENUMS: dict[str, Callable[[int], object]] = {"family": socket.AddressFamily, "type": socket.SocketKind}

#: What sends nothing, but reads the stream or changes how it is read.
LOOKS = frozenset("""
    fileno getblocking gettimeout pending read recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into setblocking
    settimeout timeout
    """.split())


class OfferedSocket:
    """Stands for the socket of a connection in ``environ["gunicorn.socket"]``.

    Most requests never look at it, so the socket itself, cooperative and of the hub's own
    kind, is made when the application first wants more of it than a fact.
    """

    __slots__ = ("_connection", "_socket")

    def __init__(self, connection: Transport) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None

    def __getattr__(self, name: str) -> Any:
        connection = self._connection
        if self._socket is None:
            if name in FACTS:
                fact = getattr(connection.sock, name)
                return ENUMS[name](fact) if name in ENUMS else fact
            self._socket = connection.hand_over()
        if name == "fileno":
            connection.descriptor_taken = True
        elif name not in LOOKS and name not in FACTS:
            connection.break_off()
        return getattr(self._socket, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # isinstance() is to see the kind of socket, not its stand-in; that alone must not make one.
        connection = self._connection
        return type(connection.sock) if connection.secure else connection.server.hub.socket_class

    def shut_down(self) -> None:
        """End the connection for whoever still waits on the socket, which is closed when nobody has it any more."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
