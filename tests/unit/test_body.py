"""``wsgi.input``: bodies in pieces of any size, and bodies that are not read."""

from __future__ import annotations

from io import BytesIO
from random import Random

import pytest

from gworkers.errors import ClientDisconnected
from gworkers.http1.body import EMPTY
from gworkers.serving.deadlines import Deadline
from support.wire import NEXT, body_of, splits

pytestmark = pytest.mark.smoke

TEXT = b"first line\nsecond\n\n\r\nfifth, and it is longer than the others\nno end"


class File(BytesIO):
    """A file that reads like one of CPython, even on PyPy, whose ``readlines`` reads one more line."""

    def readlines(self, hint=None):
        lines: list[bytes] = []
        while not (hint and 0 < hint <= sum(map(len, lines))) and (line := self.readline()):
            lines.append(line)
        return lines


def chunked(data, *sizes):
    """*data* in chunks of *sizes*, and one chunk for the rest."""
    body, at = b"", 0
    for size in (*sizes, len(data) - sum(sizes)):
        body += b"%x\r\n%s\r\n" % (size, data[at:at + size])
        at += size
    return body + b"0\r\n\r\n"


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
def test_bytes_after_the_body_are_not_read(data, length):
    for pieces in splits(data + NEXT):
        body, wire, _ = body_of(pieces, length)
        assert body.read() == TEXT
        assert wire.rest == NEXT, pieces
        assert (body.read(), body.readline(), wire.rest) == (b"", b"", NEXT)


@pytest.mark.parametrize(("data", "length"), FRAMINGS)
@pytest.mark.parametrize("reader", ["all", "seven", "iteration", "all lines", "one by one"])
def test_truncated_body_is_an_error(data, length, reader):
    for size in range(len(data)):
        body, wire, _ = body_of([data[:size]] if size else [], length)
        with pytest.raises(ClientDisconnected):
            READERS[reader](body)
        with pytest.raises(ClientDisconnected):
            body.read()
        assert not body.complete
        assert len([entry for entry in wire.done if isinstance(entry, ClientDisconnected)]) == 1


def test_body_is_not_read_in_advance():
    body, wire, _ = body_of([b"abc"], 3)
    assert (body.read(0), body.readline(0)) == (b"", b"")
    assert wire.done == []


def test_body_is_read_only_as_far_as_necessary():
    body, wire, _ = body_of([b"ab\nc", b"def", b"gh"], 9)
    assert body.readline() == b"ab\n"
    assert body.read(3) == b"cde"
    assert wire.rest == b"gh"


def test_empty_body():
    assert (EMPTY.read(), EMPTY.read(5), EMPTY.readline(), EMPTY.readlines(), list(EMPTY)) == (b"", b"", b"", [], [])
    assert EMPTY.complete
    body, _, _ = body_of([b"0\r\n\r\n"])
    assert (body.read(), body.complete) == (b"", True)


# Expect: 100-continue

def test_reading_sends_100():
    body, wire, _ = body_of([b"abc", b"def"], 6, expect=True)
    assert wire.done == []
    assert body.read(1) == b"a"
    assert wire.done == ["continue", "receive"]
    assert body.read() == b"bcdef"
    assert wire.done == ["continue", "receive", "receive"]


def test_no_100_if_the_body_was_received():
    body, wire, _ = body_of([b"def"], 6, expect=True)
    wire.buffer = b"abc"
    assert body.read() == b"abcdef"
    assert wire.done == ["receive"]


def test_no_100_without_an_expectation():
    body, wire, _ = body_of([b"abc"], 3)
    assert body.read() == b"abc"
    assert wire.done == ["receive"]


# Bodies that are not read

def within(seconds):
    return Deadline(None, seconds, lambda connection: None)


@pytest.mark.parametrize(("limit", "complete"), [(0, False), (5, False), (15, True), (1000, True)])
def test_discard(limit, complete):
    body, wire, _ = body_of([b"12345"] * 3 + [NEXT], 15)
    assert body.discard(limit, within(5.0)) is complete
    assert body.complete is complete
    if complete:
        assert wire.rest == NEXT


def test_discard_of_an_invalid_body():
    for data, length in [(b"abc", 4), (b"3\r\nabcd", None), (b"3\r\nab", None)]:
        body, _, _ = body_of([data], length)
        assert body.discard(1000, within(5.0)) is False
        assert not body.complete


def test_discard_has_a_time_limit():
    body, wire, _ = body_of([b"1"] * 10, 10)
    assert body.discard(1000, within(1e-9)) is False
    assert wire.done == []
