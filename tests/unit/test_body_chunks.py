"""Chunked bodies and their trailers: the valid ones, and those that are refused (RFC 9112 section 7.1)."""

from __future__ import annotations

import pytest

from gworkers.errors import Refusal
from support.wire import NEXT, Counted, Interruption, body_of, splits

pytestmark = pytest.mark.smoke


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
    """Assert that a chunked body is refused with a status, in one piece or many, and again on a second read."""
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
def test_invalid_chunk_size(line):
    status(line + b"\r\nabc\r\n0\r\n\r\n", 400)
    status(b"1\r\nx\r\n" + line + b"\r\nabc\r\n0\r\n\r\n", 400)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\n\r", b"\r\r\n", b"x\r\n", b"xx", b" \r\n"])
def test_invalid_chunk_terminator(end):
    status(b"3\r\nabc" + end + b"0\r\n\r\n\r\n", 400)


def test_size_line_is_limited():
    status(b"1;" + b"a" * 9000, 400)
    status(b"1;" + b"a" * 9000 + b"\r\nx\r\n0\r\n\r\n", 400)
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
def test_invalid_trailers(trailer):
    status(b"0\r\n" + trailer + b"\r\n\r\n", 400)


def test_trailers_are_limited():
    limits = {"limit_request_fields": 3, "limit_request_field_size": 40}
    status(b"0\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 431, limits)
    status(b"0\r\nA: " + b"x" * 60 + b"\r\n\r\n", 431, limits)
    status(b"0\r\nA: " + b"x" * 300, 431, limits)
    status(b"0\r\n" + b"A: 1\r\n" * 50, 431, limits)


# Pieces


def test_interrupted_read_does_not_damage_the_framing():
    """A timeout of the application may end any read. The next read continues at the same place."""
    data = b"3;ext\r\nabc\r\n2\r\nde\r\n0;last\r\nX: 1\r\nY: 2\r\n\r\n"
    for cut in range(1, len(data)):
        pieces = [data[at:at + 1] for at in range(len(data))]
        body, wire, request = body_of([*pieces[:cut], Interruption(), *pieces[cut:], NEXT])
        with pytest.raises(Interruption):
            body.read()
        body.read()
        assert body.complete, cut
        assert wire.rest == NEXT
        assert request.trailers == [("X", "1"), ("Y", "2")]


@pytest.mark.parametrize("data", [
    b"0;" + b"e" * 4000 + b"\r\n\r\n", b"0\r\nX: " + b"v" * 8000 + b"\r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * 50 + b"\r\n"], ids=["size line", "trailer", "trailers"])
def test_small_pieces_are_not_copied_again(data):
    Counted.copied = 0
    body, wire, _ = body_of([Counted(data[at:at + 1]) for at in range(len(data))])
    assert (body.read(), body.complete, wire.rest) == (b"", True, b"")
    assert Counted.copied <= 2 * len(data)
