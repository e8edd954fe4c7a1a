"""The body of a request, ``wsgi.input``. It is read from the connection when the application reads it."""
from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from gworkers.errors import ClientDisconnected, ClientError, ClientTimeout, Refusal
from gworkers.http1.response_head import interim_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gworkers.http1.client_connection import RequestConnection, TimeLimit
    from gworkers.http1.request import Request


class Body:
    """The input stream of PEP 3333. This one is empty; subclasses read from a connection.

    Each method that reads raises :class:`~gworkers.errors.ClientDisconnected` if the body ends
    too early, :class:`~gworkers.errors.ClientTimeout` if the client sends nothing for
    ``body_timeout`` seconds, and :class:`~gworkers.errors.Refusal` if the framing is invalid.
    """

    #: whether the whole body has been taken from the connection
    complete = True
    #: whether reading has failed, so that the end of the body, where the next request would begin, is unknown
    broken = False
    _pending = b""

    def _part(self) -> bytes:
        """Return the next bytes of the body; none at its end."""
        return b""

    def read(self, size: int | None = -1) -> bytes:
        """Return *size* bytes, or fewer at the end of the body. If *size* is None or negative, return all."""
        if size is None or size < 0:
            parts = [self._pending, *iter(self._part, b"")]
            self._pending = b""
            return b"".join(parts)
        if size <= len(self._pending):
            data, self._pending = self._pending[:size], self._pending[size:]
            return data
        parts = [self._pending]
        missing = size - len(self._pending)
        self._pending = b""
        while missing > 0:
            part = self._part()
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        if missing < 0:
            self._pending = parts[-1][missing:]
            parts[-1] = parts[-1][:missing]
        return b"".join(parts)

    def readline(self, size: int | None = -1) -> bytes:
        """Return the bytes up to and including the next line feed, at most *size* if it is not negative."""
        limit = -1 if size is None or size < 0 else size
        parts = []
        length = 0
        part = self._pending
        while True:
            end = part.find(b"\n") + 1 or len(part)
            if 0 <= limit < length + end:
                end = limit - length
            parts.append(part[:end])
            length += end
            self._pending = part[end:]
            if self._pending or length == limit or part[end - 1:end] == b"\n":
                break
            part = self._part()
            if not part:
                break
        return b"".join(parts)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Return the remaining lines. If *hint* is positive, stop when they have at least *hint* bytes in all."""
        lines = []
        length = 0
        for line in self:
            lines.append(line)
            length += len(line)
            if hint is not None and 0 < hint <= length:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    # The names of these two are those of eventlet's server.

    def set_hundred_continue_response_headers(self, headers: Iterable[tuple[str, str]],
                                              capitalize_response_headers: bool = True) -> None:
        """Set the header fields of the 100 response that the first read sends, if the client expects one.

        :param headers: names and values
        :param capitalize_response_headers: whether to send ``x-name`` as ``X-Name``
        :raises ValueError: if one of them has characters that would change the meaning of the head
        """

    def send_hundred_continue_response(self) -> None:
        """Send a 100 response now, if the client expects one and no final response has begun.

        A further call sends another one.
        """

    def discard(self, limit: int, time_limit: TimeLimit) -> bool:
        """Read the rest of the body, at most *limit* bytes and within *time_limit*, and discard it.

        :returns: whether the body is complete
        """
        return True

    def end(self) -> None:
        """Called when the request is over. After that, reads fail, because they could return bytes of the next one."""


class StreamedBody(Body, ABC):
    """A body that is read from a connection. Subclasses implement its framing."""

    complete = False
    #: the lines of the header fields of a 100 response
    _continue_fields = b""

    def __init__(self, connection: RequestConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        #: the error of the first read that failed; later reads raise it again
        self._error: ClientError | None = None
        #: whether the request is over
        self._over = False
        #: whether a greenlet is reading
        self._reading = False
        #: the limit on waiting for the next bytes; None for ``body_timeout``
        self._time_limit: TimeLimit | None = None
        #: when to stop reading, even if bytes keep coming
        self._end = inf

    def _receive(self) -> bytes:
        """Return the next bytes from the connection, with their framing."""
        connection = self._connection
        expects_continue, self._request.expects_continue = self._request.expects_continue, False
        if connection.buffer:
            data, connection.buffer = bytes(connection.buffer), b""
            return data
        if expects_continue:
            connection.send_continue(self._continue_fields)
        connection.yield_if_due()
        self._check()
        if monotonic() > self._end:
            raise ClientTimeout("the client did not finish its request body in time")
        data = connection.receive(self._time_limit)
        if not data:
            raise ClientDisconnected("the client closed the connection before its request body was complete")
        return data

    def set_hundred_continue_response_headers(self, headers: Iterable[tuple[str, str]],
                                              capitalize_response_headers: bool = True) -> None:
        if capitalize_response_headers:
            headers = [("-".join(map(str.capitalize, name.split("-"))), value) for name, value in headers]
        self._continue_fields = interim_lines(headers)

    def send_hundred_continue_response(self) -> None:
        request = self._request
        response = self._connection.response
        if response is None or response.req is not request:
            # The request is over. The client may wait for the response to another one.
            return
        expects = "HTTP_EXPECT" in request.fields and request.version >= (1, 1)
        if expects and not response.headers_sent:
            request.expects_continue = False
            self._connection.send_continue(self._continue_fields)

    def _part(self) -> bytes:
        if self.complete:
            return b""
        self._check()
        if self._reading:
            raise RuntimeError("another greenlet is reading this request body; only one may read at a time")
        self._reading = True
        try:
            return self._next()
        except ClientError as error:
            if self._error is None and not self._over:
                self._error = error
                if self._time_limit is None or isinstance(error, Refusal):
                    # Logged here, because an application may handle the error without logging it.
                    self._connection.log_client_error(error)
            self.broken = True
            raise
        finally:
            self._reading = False

    def discard(self, limit: int, time_limit: TimeLimit) -> bool:
        self._time_limit = time_limit
        self._end = monotonic() + time_limit.timeout
        try:
            while not self.complete and not self._reading and limit > 0 and monotonic() < self._end:
                limit -= len(self._part())
        except ClientError:
            return False
        return self.complete

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._over:
            raise ClientDisconnected("the request is over; the rest of its body can no longer be read")

    def end(self) -> None:
        if not self.complete:
            self._over = True
            # Its traceback refers back to this object, and the garbage collector frees such a cycle late.
            self._error = None

    @abstractmethod
    def _next(self) -> bytes:
        """Return the next bytes of the body; none at its end."""


class LengthBody(StreamedBody):
    """A body with a ``Content-Length`` (RFC 9112 section 6.2)."""

    def __init__(self, connection: RequestConnection, request: Request, length: int) -> None:
        super().__init__(connection, request)
        self._missing = length

    def _next(self) -> bytes:
        data = self._receive()
        if len(data) >= self._missing:
            self._connection.buffer = data[self._missing:]
            data = data[:self._missing]
            self.complete = True
        self._missing -= len(data)
        return data


#: The body of all requests without one. It has no state, so they can share it.
EMPTY = Body()
