"""``wsgi.input``: the body of a request, read as the application asks for it."""
from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from gworkers.errors import ClientDisconnected, ClientError, ClientTimeout, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gworkers.http1.client_connection import RequestConnection, TimeLimit
    from gworkers.http1.request import Request


class Body:
    """A readable stream of bytes, as PEP 3333 wants it; this one is empty.

    Every reading method raises :class:`~gworkers.errors.ClientDisconnected` when the body ends
    before it is complete, :class:`~gworkers.errors.ClientTimeout` when the client pauses for longer
    than ``body_timeout``, and :class:`~gworkers.errors.Refusal` when its framing is wrong.
    """

    #: whether everything up to the end of the body has been taken from the connection
    complete = True
    #: whether it cannot be read to its end, so that nobody knows where the next request begins
    broken = False
    _pending = b""

    def _part(self) -> bytes:
        """Return some bytes more; none means that the body is complete."""
        return b""

    def read(self, size: int | None = -1) -> bytes:
        """Return *size* bytes, fewer only at the end; all that remain if it is None or negative."""
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
        """Return the bytes up to the next line feed, which is included, but no more than *size*."""
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
        """Return the remaining lines; no further one is read once they hold *hint* bytes, if that is positive."""
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

    def drain(self, limit: int, deadline: TimeLimit) -> bool:
        """Read on to the end of the body, and throw it away: at most *limit* bytes, within *deadline*.

        :returns: whether the end was reached
        """
        return True

    def end(self) -> None:
        """The request is over: who goes on reading gets an error, and none of the next request's bytes."""


class StreamedBody(Body, ABC):
    """A body that comes from the connection: what both framings have in common."""

    complete = False

    def __init__(self, connection: RequestConnection, request: Request) -> None:
        self._connection = connection
        self._request = request
        #: what reading failed with, and fails with again
        self._error: ClientError | None = None
        self._over = False
        self._reading = False
        self._deadline: TimeLimit | None = None
        #: when to stop waiting for more, however steadily it comes
        self._until = inf

    def _receive(self) -> bytes:
        """Return the next bytes of the connection, however they are framed."""
        connection = self._connection
        waits, self._request.expects_continue = self._request.expects_continue, False
        if connection.buffer:
            data, connection.buffer = bytes(connection.buffer), b""
            return data
        if waits:
            connection.send_continue()
        connection.yield_if_due()
        self._check()
        if monotonic() > self._until:
            raise ClientTimeout("the client did not finish its request body in time")
        data = connection.receive(self._deadline)
        if not data:
            raise ClientDisconnected("the client closed the connection before its request body was complete")
        return data

    def _part(self) -> bytes:
        if self.complete:
            return b""
        self._check()
        if self._reading:
            raise RuntimeError("two greenlets read from one request body")
        self._reading = True
        try:
            return self._next()
        except ClientError as error:
            if self._error is None and not self._over:
                self._error = error
                if self._deadline is None or isinstance(error, Refusal):
                    # Here, because an application may well answer to it and say nothing.
                    self._connection.log_client_error(error)
            self.broken = True
            raise
        finally:
            self._reading = False

    def drain(self, limit: int, deadline: TimeLimit) -> bool:
        self._deadline = deadline
        self._until = monotonic() + deadline.timeout
        try:
            while not self.complete and not self._reading and limit > 0 and monotonic() < self._until:
                limit -= len(self._part())
        except ClientError:
            return False
        return self.complete

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._over:
            raise ClientDisconnected("the request is over, and the rest of its body was not read")

    def end(self) -> None:
        if not self.complete:
            self._over = True
            # Its traceback refers back to this, and such a cycle would be left to the garbage collector.
            self._error = None

    @abstractmethod
    def _next(self) -> bytes:
        """Return the next bytes of the body, none at its end."""


class LengthBody(StreamedBody):
    """A body whose length the head gave (RFC 9112 section 6.2)."""

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


#: What a request without a body has: it holds nothing, so all can share it.
EMPTY = Body()
