"""Bodies of requests, and the connections that they come from."""

from __future__ import annotations

from functools import cache
from typing import Any

from gunicorn.config import Config

from fuzz.verdicts import NoDeadline, Source
from gworkers.http1.body import LengthBody
from gworkers.http1.chunked import ChunkedBody
from gworkers.http1.head import HeadParser

NEXT = b"GET /next HTTP/1.1\r\n\r\n"


class Counted(bytes):
    """A piece that knows how many bytes were copied to put it behind others."""

    copied = 0

    def __radd__(self, other):
        if isinstance(other, bytearray):  # which grows in place
            return NotImplemented
        Counted.copied += len(other)
        return bytes(other) + bytes(self)


class Interruption(BaseException):
    """Stands among the pieces of a body for a timeout of the application's."""


class Wire(Source):
    """The end of a connection, which remembers what it was asked to do."""

    def __init__(self, pieces):
        super().__init__(b"", list(pieces))
        self.done = []

    def receive(self, deadline=None):
        self.done.append("receive")
        data = super().receive(deadline)
        if isinstance(data, Interruption):
            raise data
        return data

    def send_continue(self, fields):
        self.done.append("continue")

    def log_client_error(self, error):
        self.done.append(error)

    @property
    def rest(self):
        return self.buffer + b"".join(self.pieces)


def framed(length):
    """A length as a head says it; None for a chunked body."""
    return "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"


@cache
def head_parser(settings):
    config = Config()
    for name, value in settings:
        config.set(name, value)
    return HeadParser(config, None)


def body_of(pieces, length=None, settings=None, expect=False):
    """A body of *length* bytes, chunked without one, that comes in *pieces*; where from, and of which request."""
    heads = head_parser(tuple((settings or {}).items()))
    head = f"POST / HTTP/1.1\r\n{framed(length)}\r\n{'Expect: 100-continue' if expect else 'X: y'}\r\n\r\n"
    request = heads.parse(head.encode(), 0, "", True, 1)
    wire: Any = Wire(pieces)
    if length is None:
        deadline: Any = NoDeadline()
        return ChunkedBody(wire, request, heads.chunk_limits, deadline), wire, request
    return LengthBody(wire, request, length), wire, request


def splits(data):
    """*data* in two pieces, cut at each place, and byte by byte."""
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]] if 0 < cut < len(data) else [data]
    yield [data[at:at + 1] for at in range(len(data))]
    yield [data[at:at + 3] for at in range(0, len(data), 3)]
