"""``wsgi.input``: what a body gives at any split of its bytes, and what becomes of one that is wrong."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from random import Random

import pytest
from fuzz.verdicts import Source
from gunicorn.config import Config

from gworkers.errors import ClientDisconnected, Refusal
from gworkers.http1.body import EMPTY, ChunkedBody, LengthBody
from gworkers.http1.head import HeadParser

pytestmark = pytest.mark.smoke

TEXT = b"first line\nsecond\n\n\r\nfifth, and it is longer than the others\nno end"
NEXT = b"GET /next HTTP/1.1\r\n\r\n"


class Wire(Source):
    """The end of a connection, which remembers what it was asked to do."""

    def __init__(self, pieces):
        super().__init__(b"", list(pieces))
        self.done = []

    def receive(self):
        self.done.append("receive")
        return super().receive()

    def send_continue(self):
        self.done.append("continue")

    def complain(self, error):
        self.done.append(error)

    @property
    def rest(self):
        return self.buffer + b"".join(self.pieces)


class File(BytesIO):
    """What a body must read like: CPython's file, also on PyPy, whose ``readlines`` goes on for a line more."""

    def readlines(self, hint=None):
        lines = []
        while not (hint and 0 < hint <= sum(map(len, lines))) and (line := self.readline()):
            lines.append(line)
        return lines


def chunked(data, *sizes):
    """*data* in chunks of *sizes*, and one for the rest."""
    body, at = b"", 0
    for size in (*sizes, len(data) - sum(sizes)):
        body += b"%x\r\n%s\r\n" % (size, data[at:at + size])
        at += size
    return body + b"0\r\n\r\n"


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
    wire = Wire(pieces)
    if length is None:
        return ChunkedBody(wire, request, heads.chunk_limits), wire, request
    return LengthBody(wire, request, length), wire, request


def splits(data):
    """*data* in two pieces, cut at each place, and byte by byte."""
    for cut in range(len(data) + 1):
        yield [data[:cut], data[cut:]] if 0 < cut < len(data) else [data]
    yield [data[at:at + 1] for at in range(len(data))]
    yield [data[at:at + 3] for at in range(0, len(data), 3)]


FRAMINGS = [pytest.param(TEXT, len(TEXT), id="length"), pytest.param(chunked(TEXT), None, id="chunk"),
            pytest.param(chunked(TEXT, 1, 10, 1, 7, 30), None, id="chunks")]

READERS = {
    "all": lambda body: [body.read()],
    "none": lambda body: [body.read(None)],
    "negative": lambda body: [body.read(-2)],
    "zero, then all": lambda body: [body.read(0), body.read()],
    "one by one": lambda body: [body.read(1) for _ in range(len(TEXT) + 1)],
    "seven": lambda body: [body.read(7) for _ in range(20)],
    "more than there is": lambda body: [body.read(1000), body.read(1000), body.read()],
    "lines": lambda body: [body.readline() for _ in range(8)],
    "lines of no size": lambda body: [body.readline(None), body.readline(-1), body.readline(0)],
    "parts of lines": lambda body: [body.readline(4) for _ in range(30)],
    "iteration": list,
    "next": lambda body: [next(body), next(body), *body],
    "all lines": lambda body: body.readlines(),
    "some lines": lambda body: [*body.readlines(12), b"|", *body.readlines(1), b"|", *body.readlines(0)],
    "mixed": lambda body: [body.readline(), body.read(3), body.readline(2), body.read(9), *body.readlines(5),
                           body.read()],
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("data", "length"), FRAMINGS)
def test_body_reads_like_a_file(data, length, reader):
    expected = reader(File(TEXT))
    for pieces in splits(data):
        body, wire, _ = body_of(pieces, length)
        assert reader(body) == expected, pieces
        body.read()
        assert body.complete
        assert wire.rest == b""
        assert [entry for entry in wire.done if entry != "receive"] == []


@pytest.mark.parametrize(("data", "length"), FRAMINGS)
def test_random_reads(data, length):
    for seed in range(300):
        rng = Random(seed)
        cuts = sorted({rng.randrange(1, len(data)) for _ in range(rng.randrange(6))})
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]
        body, _, _ = body_of(pieces, length)
        file = File(TEXT)
        for _ in range(12):
            name = rng.choice(["read", "readline", "readlines"])
            size = rng.choice([None, -1, 0, 1, 2, 3, 5, 8, 13, 40, 100])
            assert getattr(body, name)(size) == getattr(file, name)(size), (seed, name, size)


@pytest.mark.parametrize(("data", "length"), FRAMINGS)
def test_what_comes_next_is_left(data, length):
    for pieces in splits(data + NEXT):
        body, wire, _ = body_of(pieces, length)
        assert body.read() == TEXT
        assert wire.rest == NEXT, pieces
        assert (body.read(), body.readline(), wire.rest) == (b"", b"", NEXT)


@pytest.mark.parametrize(("data", "length"), FRAMINGS)
@pytest.mark.parametrize("reader", ["all", "seven", "iteration", "all lines", "one by one"])
def test_body_that_ends_too_early_is_never_taken_for_complete(data, length, reader):
    for size in range(len(data)):
        body, wire, _ = body_of([data[:size]] if size else [], length)
        with pytest.raises(ClientDisconnected):
            READERS[reader](body)
        with pytest.raises(ClientDisconnected):
            body.read()
        assert not body.complete
        assert len([entry for entry in wire.done if isinstance(entry, ClientDisconnected)]) == 1


def test_body_is_not_read_before_it_is_asked_for():
    body, wire, _ = body_of([b"abc"], 3)
    assert (body.read(0), body.readline(0)) == (b"", b"")
    assert wire.done == []


def test_body_is_read_only_as_far_as_it_is_asked_for():
    body, wire, _ = body_of([b"ab\nc", b"def", b"gh"], 9)
    assert body.readline() == b"ab\n"
    assert body.read(3) == b"cde"
    assert wire.rest == b"gh"


def test_empty_body():
    assert (EMPTY.read(), EMPTY.read(5), EMPTY.readline(), EMPTY.readlines(), list(EMPTY)) == (b"", b"", b"", [], [])
    assert EMPTY.complete
    body, _, _ = body_of([b"0\r\n\r\n"])
    assert (body.read(), body.complete) == (b"", True)


# Chunks

@pytest.mark.parametrize("line", [
    b"3", b"03", b"0000000003", b"00000000000000000000003", b"3;a", b"3;a=b", b"3 ;a", b"3\t; a = b", b"3;a;b;c=d",
    b"3;a=\"b;c\\\"\"",
    b"3;a=\"\xff\"", b"3;a=\"\"", b"3;" + b"a" * 500,
])
def test_chunk_size(line):
    for pieces in splits(line + b"\r\nabc\r\n" + line.replace(b"3", b"0", 1) + b"\r\n\r\n"):
        body, _, _ = body_of(pieces)
        assert body.read() == b"abc"


def status(data, expected, settings=None):
    """Assert that a chunked body is refused with a status, in pieces or not, and remains so."""
    for pieces in ([data], [data[at:at + 1] for at in range(len(data))]):
        body, wire, _ = body_of(pieces, settings=settings)
        with pytest.raises(Refusal) as caught:
            body.read()
        assert caught.value.status == expected
        with pytest.raises(Refusal):
            body.readline()
        assert len([entry for entry in wire.done if isinstance(entry, Refusal)]) == 1


@pytest.mark.parametrize("line", [
    b"", b" 3", b"3 ", b"3\t", b"3;", b"+3", b"-3", b"0x3", b"3_0", b"g", b"3.0", b"3,3", b"\xb2", b"3\x00", b"3\n",
    b"\n3", b"3\r", b"3;\n", b"3;a\n",
    b"3;a=", b"3;=b", b"3;a b", b"3;a=b c", b"3;a=\"b", b"3;a=\"b\"c", b"3;a=\"\n\"", b"3;a\r", b"3;\xff",
    b"3;a=\"\\\n\"", b"3 3", b"3;a=\x7f",
])
def test_chunk_size_that_is_none(line):
    status(line + b"\r\nabc\r\n0\r\n\r\n", 400)
    status(b"1\r\nx\r\n" + line + b"\r\nabc\r\n0\r\n\r\n", 400)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\n\r", b"\r\r\n", b"x\r\n", b"xx", b" \r\n"])
def test_chunk_that_does_not_end_where_it_should(end):
    status(b"3\r\nabc" + end + b"0\r\n\r\n\r\n", 400)


def test_size_line_without_an_end_is_bounded():
    status(b"1;" + b"a" * 9000, 400)
    status(b"1\r\nx\r\n1;a" + b" " * 200, 400, {"limit_request_field_size": 100})


# Trailers

def test_trailers():
    data = b"3\r\nabc\r\n0;last\r\nX-Sum: 1\r\nx-b:\t2 \r\nX-Sum: 3\r\n\r\n"
    for pieces in splits(data + NEXT):
        body, wire, request = body_of(pieces)
        assert body.read() == b"abc"
        assert request.trailers == [("X-SUM", "1"), ("X-B", "2"), ("X-SUM", "3")]
        assert wire.rest == NEXT


@pytest.mark.parametrize("trailer", [
    b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Trailer: X", b"Authorization: x", b"TE: x",
    b"X: \x00", b"X: \x1b",
    b"X : y", b"no colon", b": y", b" X: y", b"X: y\r\n folded", b"X: y\nZ: a", b"\nX: y", b"X: y\r",
    b"Content-Type: a\r\nContent-Type: b",
])
def test_trailers_that_are_refused(trailer):
    status(b"0\r\n" + trailer + b"\r\n\r\n", 400)


def test_trailers_are_bounded():
    limits = {"limit_request_fields": 3, "limit_request_field_size": 40}
    status(b"0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 431, limits)
    status(b"0\r\nA: " + b"x" * 60 + b"\r\n\r\n", 431, limits)
    status(b"0\r\nA: " + b"x" * 300, 431, limits)
    status(b"0\r\n" + b"A: 1\r\n" * 50, 431, limits)


# Expect: 100-continue

def test_client_that_waits_is_asked_when_the_body_is_read():
    body, wire, _ = body_of([b"abc", b"def"], 6, expect=True)
    assert wire.done == []
    assert body.read(1) == b"a"
    assert wire.done == ["continue", "receive"]
    assert body.read() == b"bcdef"
    assert wire.done == ["continue", "receive", "receive"]


def test_client_that_did_not_wait_is_not_asked():
    body, wire, _ = body_of([b"def"], 6, expect=True)
    wire.buffer = b"abc"
    assert body.read() == b"abcdef"
    assert wire.done == ["receive"]


def test_client_that_does_not_expect_it_is_not_asked():
    body, wire, _ = body_of([b"abc"], 3)
    assert body.read() == b"abc"
    assert wire.done == ["receive"]


# What nobody reads

@pytest.mark.parametrize(("limit", "complete"), [(0, False), (5, False), (15, True), (1000, True)])
def test_drain(limit, complete):
    body, wire, _ = body_of([b"12345"] * 3 + [NEXT], 15)
    assert body.drain(limit, 5.0) is complete
    assert body.complete is complete
    if complete:
        assert wire.rest == NEXT


def test_drain_of_a_wrong_body():
    for data, length in [(b"abc", 4), (b"3\r\nabcd", None), (b"3\r\nab", None)]:
        body, _, _ = body_of([data], length)
        assert body.drain(1000, 5.0) is False
        assert not body.complete


def test_drain_has_its_time():
    body, wire, _ = body_of([b"1"] * 10, 10)
    assert body.drain(1000, 0.0) is False
    assert wire.done == []
