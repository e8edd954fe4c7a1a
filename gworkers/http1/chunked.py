"""Request bodies in chunks (RFC 9112 section 7.1)."""
from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from gworkers.errors import ClientTimeout, Refusal
from gworkers.http1.body import StreamedBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from gworkers.http1.client_connection import RequestConnection, TimeLimit
    from gworkers.http1.request import Request

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
#: chunk-size [ chunk-ext ] of RFC 9112 section 7.1. White space is allowed only around the parts of an extension.
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*")


class ChunkLimits(NamedTuple):
    """Limits on the framing of a chunked body, in bytes."""

    #: the line with the size and the extensions of a chunk
    size_line: int
    #: all trailer fields together
    trailers: int


class ChunkedBody(StreamedBody):
    """A body in chunks, followed by trailer fields.

    A timeout of the application may interrupt a read wherever it waits for the client. No bytes that
    were received are lost, so that the next read continues at the right place in the framing.

    :param limits: limits on its framing
    :param trailer_limit: the time for the whole trailer section
    """

    def __init__(self, connection: RequestConnection, request: Request, limits: ChunkLimits,
                 trailer_limit: TimeLimit) -> None:
        super().__init__(connection, request)
        self._limits = limits
        self._trailer_limit = trailer_limit
        #: bytes from the connection, and where the unread ones begin
        self._data = b""
        self._at = 0
        #: whether a chunk has begun and not ended, and how many bytes of its data are still to be read
        self._in_chunk = False
        self._missing = 0
        #: the lines of the trailer section that have been read; None before the last chunk
        self._trailers: list[bytes] | None = None

    def _next(self) -> bytes:
        if self._trailers is None and not self._missing:
            if self._in_chunk:
                self._end_chunk()
                self._in_chunk = False
            self._missing = self._size()
            if self._missing:
                self._in_chunk = True
            else:
                self._trailers = []
        if self._trailers is not None:
            self._end_body(self._trailers)
            return b""
        if self._at == len(self._data):
            self._data, self._at = self._receive(), 0
        part = self._data[self._at:self._at + self._missing]
        self._at += len(part)
        self._missing -= len(part)
        return part

    def _line(self, limit: int, too_long: Callable[[], Refusal]) -> bytes:
        end = self._data.find(b"\r\n", self._at)
        if end < 0:
            end = self._finish_line(limit, too_long)
        if end - self._at > limit:
            # The result must not depend on how the bytes were split in transit.
            raise too_long()
        line = self._data[self._at:end]
        self._at = end + 2
        return line

    def _finish_line(self, limit: int, too_long: Callable[[], Refusal]) -> int:
        """Receive the rest of the line and return where it ends. Small pieces cost no more than large ones."""
        data = bytearray(self._data[self._at:])
        end = -1
        try:
            while end < 0:
                if len(data) > limit:
                    raise too_long()
                seen = len(data)
                data += self._receive()
                end = data.find(b"\r\n", max(seen - 1, 0))
        finally:
            self._data, self._at = bytes(data), 0
        return end

    def _size(self) -> int:
        limit = self._limits.size_line
        line = self._line(limit, lambda: _bad_chunk(f"Invalid chunk size: line over {limit} bytes with no terminator"))
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise _bad_chunk(f"Invalid chunk size: {line[:64]!r}")
        return int(match[1], 16)

    def _end_chunk(self) -> None:
        while len(self._data) - self._at < 2:
            received = self._receive()
            self._data, self._at = self._data[self._at:] + received, 0
        if not self._data.startswith(b"\r\n", self._at):
            found = self._data[self._at:self._at + 2]
            raise _bad_chunk(f"Invalid chunk terminator is not '\\r\\n': {found!r}")
        self._at += 2

    def _end_body(self, trailers: list[bytes]) -> None:
        if self._data.find(b"\r\n\r\n", self._at - 2) >= 0:
            self._read_trailers(trailers)
        else:
            self._wait_for_trailers(trailers)
        self._connection.buffer = self._data[self._at:]
        self._data = b""
        self._at = 0
        if trailers:
            self._request.trailers = self._request.parse_trailers(b"\r\n".join(trailers))
        self.complete = True

    def _wait_for_trailers(self, trailers: list[bytes]) -> None:
        limit = self._trailer_limit
        # The limit ends waits only, and a client that sends single bytes in quick succession causes no waits.
        self._end = min(self._end, monotonic() + limit.timeout)
        limit.start(self._connection)
        try:
            self._read_trailers(trailers)
        except ClientTimeout:
            raise ClientTimeout("the client did not finish the trailer section of its request body in time") from None
        finally:
            limit.stop(self._connection)

    def _read_trailers(self, trailers: list[bytes]) -> None:
        left = self._limits.trailers - sum(len(line) + 2 for line in trailers)
        while line := self._line(left, _long_trailers):
            trailers.append(line)
            left -= len(line) + 2
            if left < 0:
                raise _long_trailers()


def _bad_chunk(message: str) -> Refusal:
    return Refusal(400, "Bad Request", message)


def _long_trailers() -> Refusal:
    return Refusal(431, "Request Header Fields Too Large", "limit request trailer section size")
