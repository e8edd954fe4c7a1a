"""What HTTP/1 needs of the connection to a client, as protocols.

The modules of this folder depend on these protocols, and on no server and no socket.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gworkers.errors import ClientError


class TimeLimit(Protocol):
    """A limit on how long a client may take."""

    @property
    def timeout(self) -> float:
        """The limit in seconds; infinity for none."""

    def start(self, connection: Any) -> None:
        """Apply the limit to *connection*. Its time begins now."""

    def stop(self, connection: Any) -> None:
        """Remove the limit from *connection*. Nothing happens if its time is over."""


class RequestConnection(Protocol):
    """The connection from which the body of a request is read."""

    #: bytes received and not yet consumed; a bytearray only while a head arrives in pieces
    buffer: bytes | bytearray

    def receive(self, limit: TimeLimit | None = None) -> bytes:
        """Wait for bytes and return them; return none if the client will send no more.

        :param limit: how long to wait; ``body_timeout`` if None
        :raises ClientTimeout: if the time is over
        :raises ClientDisconnected: if the connection is broken
        """

    @property
    def response(self) -> Any:
        """The response to the request that is served; None if there is none."""

    def send_continue(self, fields: bytes) -> None:
        """Send a 100 response, which asks the client for the request body (RFC 9110 section 15.2.1).

        :param fields: the lines of its header fields
        """

    def yield_if_due(self) -> None:
        """Let other requests run if this one has run for its ``time_slice``."""

    def log_client_error(self, error: ClientError) -> None:
        """Log an error of the client."""


class ResponseConnection(Protocol):
    """The connection on which a response is sent.

    The methods that send raise ``ClientTimeout`` if the client takes nothing for ``write_timeout`` seconds,
    and ``ClientDisconnected`` if the connection is broken.
    """

    @property
    def offer(self) -> Any:
        """The value of ``environ["gunicorn.socket"]``."""

    @property
    def descriptor_taken(self) -> bool:
        """Whether the application has asked :attr:`offer` for its file descriptor."""

    @property
    def last_request(self) -> bool:
        """Whether the connection ends with this request, whatever its response says."""

    @property
    def broken(self) -> bool:
        """Whether nothing more may be sent."""

    @property
    def awaited(self) -> bool:
        """Whether a greenlet waits for the client."""

    @property
    def can_send_files(self) -> bool:
        """Whether :meth:`send_file` may be called."""

    def break_off(self) -> None:
        """Send nothing more; the connection ends with this request."""

    def yield_if_due(self) -> None:
        """Let other requests run if this one has run for its ``time_slice``."""

    def send(self, data: bytes) -> None:
        """Send all of *data*."""

    def send_parts(self, parts: list[bytes]) -> None:
        """Send all of *parts*, one after the other."""

    def send_last(self, data: bytes) -> None:
        """Send *data*, which completes the response. It may be sent a moment later, in a batch."""

    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int | None:
        """Send *head*, then *count* bytes of the file *fd* from *offset* on.

        :returns: the number of bytes of the file that were sent, less than *count* if the file is shorter;
            None if the kernel cannot send from this file and only *head* was sent
        :raises OSError: if the file cannot be read
        """
