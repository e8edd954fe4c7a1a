"""The socket of a connection, for an application that uses it for WebSocket, CONNECT or another protocol.

What may follow depends on how the application uses the socket:

- The application reads a property or sets an option (:data:`PROPERTIES`): the connection continues as usual.
- The application receives, or changes how it receives (:data:`READS`), for instance to see whether the client is still
  connected: an HTTP response may follow, and the connection ends with it.
- The application does anything else, so it may have sent bytes: no response and no error page follows, and the
  connection is closed when the application returns. A peer that has changed to another protocol gets no more HTTP.

``select`` needs ``fileno``, but the application can also write to the file descriptor. ``fileno`` counts as a
read, except in a request for another protocol (RFC 9110 section 7.8).
"""
from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from gworkers.serving.transport import Transport

#: Attributes that read a property of the connection or set an option. They do not touch the stream of bytes.
PROPERTIES = frozenset("""
    family getpeername getsockname getsockopt proto setsockopt type
    cipher compression context get_channel_binding getpeercert selected_alpn_protocol server_hostname server_side
    session session_reused shared_ciphers version
    """.split())

#: Properties that are enums in Python's sockets, and numbers in the socket that a connection uses.
ENUMS: dict[str, Callable[[int], object]] = {"family": socket.AddressFamily, "type": socket.SocketKind}

#: Attributes that read from the stream or change how it is read. They send nothing.
READS = frozenset("""
    fileno getblocking gettimeout pending read recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into setblocking
    settimeout timeout
    """.split())


class OfferedSocket:
    """The value of ``environ["gunicorn.socket"]``: a proxy of the connection's socket.

    Most requests do not use it. The socket itself, a cooperative one of the hub's library, is made when
    the application first uses more than a property.
    """

    __slots__ = ("_connection", "_sending", "_socket")

    def __init__(self, connection: Transport) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None
        #: a lock that is held while a greenlet sends; None until one does
        self._sending: Any = None

    def send(self, data: Any, flags: int = 0) -> int:
        """Send all of *data* if the socket has no timeout, as the kernel does. Return the number of bytes sent.

        The sockets of the hubs' libraries send what fits. Some libraries for WebSockets do not check the result.
        """
        sock = self._socket_to_send()
        if sock.gettimeout() is not None:
            return sock.send(data, flags)
        self.sendall(data, flags)
        return memoryview(data).nbytes

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*, after what other greenlets are sending."""
        sock = self._socket_to_send()
        if self._sending is None:
            self._sending = self._connection.server.hub.green_lock()
        with self._sending:
            sock.sendall(data, flags)

    def _socket_to_send(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._connection.hand_over()
        self._connection.break_off()
        return self._socket

    def __getattr__(self, name: str) -> Any:
        connection = self._connection
        if self._socket is None:
            if name in PROPERTIES:
                value = getattr(connection.sock, name)
                return ENUMS[name](value) if name in ENUMS else value
            self._socket = connection.hand_over()
        if name == "fileno":
            connection.descriptor_taken = True
        elif name not in READS and name not in PROPERTIES:
            connection.break_off()
        return getattr(self._socket, name)

    @property
    def socket_made(self) -> bool:
        """Whether the application has used more than a property."""
        return self._socket is not None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # For isinstance(), which must give the class of the socket without making one.
        connection = self._connection
        return type(connection.sock) if connection.secure else connection.server.hub.socket_class

    def shut_down(self) -> None:
        """End the stream for greenlets that wait on the socket. It is closed when it is no longer referenced."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
