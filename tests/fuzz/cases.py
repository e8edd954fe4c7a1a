"""Mutated requests. A seed and an index define a case, so that it can be reproduced alone."""
from __future__ import annotations

import re
from random import Random
from typing import Callable, NamedTuple

from .corpus import (
    CHUNKS,
    DANGEROUS,
    ENDS,
    FIELDS,
    METHODS,
    ORDINARY,
    PROXIES,
    SETTINGS,
    TARGETS,
    UNUSUAL,
    VERSIONS,
)

#: The peers: one in ``forwarded_allow_ips``, another one, and one on a Unix socket.
PEERS = {"proxy": ("127.0.0.1", 4711), "stranger": ("192.0.2.99", 4711), "unix": ""}

_SETTINGS = ["default"] * 6 + list(SETTINGS)


class Earlier(NamedTuple):
    """A head that arrived earlier on another connection."""

    settings: str
    peer: str
    data: bytes


class Case(NamedTuple):
    """The bytes of a connection, and the boundaries of their pieces.

    :param settings: name of Gunicorn's configuration
    :param peer: who sends, a key of PEERS
    :param number: which request this is on its connection
    :param cuts: offsets at which the bytes fall into pieces
    :param earlier: heads with similar lines, which a parser may remember
    """

    settings: str
    peer: str
    number: int
    data: bytes
    cuts: tuple[int, ...] = ()
    earlier: tuple[Earlier, ...] = ()

    @property
    def pieces(self) -> list[bytes]:
        bounds = [0, *self.cuts, len(self.data)]
        return [self.data[start:end] for start, end in zip(bounds, bounds[1:]) if end > start]


class Draft:
    """The parts of a request."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.lines = head.split(b"\r\n")
        #: the line end of each line, the last of which is the empty line
        self.ends = [b"\r\n"] * (len(self.lines) + 1)

    def insert(self, at: int, line: bytes) -> None:
        self.lines.insert(at, line)
        self.ends.insert(at, b"\r\n")

    def to_bytes(self) -> bytes:
        return b"".join(line + end for line, end in zip([*self.lines, b""], self.ends)) + self.body


def make_case(seed: int, index: int) -> Case:
    """Return case *index* of the sequence of *seed*."""
    rng = Random(f"{seed}/{index}")
    settings = rng.choice(_SETTINGS)
    draft = Draft(rng.choice(rng.choice([ORDINARY, ORDINARY, ORDINARY, UNUSUAL, UNUSUAL])))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        rng.choice(MUTATORS)(rng, draft, settings)
    data = draft.to_bytes()
    if settings.startswith("proxied") and rng.random() < 0.7:
        header = rng.choice(PROXIES)
        data = (_spoil(rng, header) if rng.random() < 0.2 else header) + data
    while rng.random() < 0.25:
        data = _spoil(rng, data)
    if rng.random() < 0.08:
        data = data[:rng.randrange(len(data) + 1)]
    elif rng.random() < 0.15:
        data += rng.choice(ORDINARY)
    number = 2 if rng.random() < 0.1 else 1
    peer = rng.choice(list(PEERS))
    cuts = _cuts(rng, len(data))
    # Last, because it uses random numbers and must not change the other parts of a case.
    return Case(settings, peer, number, data or b"\r", cuts, _earlier(rng, settings, data))


def _cuts(rng: Random, size: int) -> tuple[int, ...]:
    kind = rng.random()
    if kind < 0.35 or size < 2:
        return ()
    if kind < 0.4 and size < 300:
        return tuple(range(1, size))
    return tuple(sorted({rng.randrange(1, size) for _ in range(1 if kind < 0.7 else rng.randrange(2, 6))}))


def _spoil(rng: Random, data: bytes) -> bytes:
    """Change, remove or add one byte."""
    at = rng.randrange(len(data) + 1)
    byte = rng.choice(DANGEROUS)
    return data[:at] + rng.choice([byte, byte, b"", byte * rng.randrange(2, 5)]) + data[at + rng.randrange(2):]


def _earlier(rng: Random, settings: str, data: bytes) -> tuple[Earlier, ...]:
    """Return heads with lines of *data*, or with lines that differ from them in one respect."""
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    heads = []
    for _ in range(rng.choice([0, 1, 1, 2, 4])):
        fields = {}
        for line in lines:
            similar = rng.choice(SIMILAR)(rng, line)
            # The fast path declines repeated fields.
            fields[similar.partition(b":")[0].lower()] = similar
        order = list(fields.values())
        if rng.random() < 0.5:
            rng.shuffle(order)
        # A declined line would prevent that the lines after it are remembered.
        groups = [order] if rng.random() < 0.5 else [[line] for line in order]
        heads += [Earlier(settings if rng.random() < 0.8 else rng.choice(_SETTINGS), rng.choice(list(PEERS)),
                          _head_of(rng, group)) for group in groups]
    return tuple(heads)


def _head_of(rng: Random, fields: list[bytes]) -> bytes:
    """Return a head with *fields*, in some cases with line ends that are right in number but not in place."""
    ends = [b"\r\n"] * (len(fields) + 1)
    if fields and rng.random() < 0.3:
        for at, end in zip(rng.sample(range(len(ends)), 2), rng.choice(SHIFTED)):
            ends[at] = end
    return b"".join(line + end for line, end in zip([b"GET / HTTP/1.1", *fields], ends)) + b"\r\n"


def _other_case(rng: Random, line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return rng.choice([name.lower(), name.upper(), name.title(), name.swapcase()]) + colon + value


def _other_value(rng: Random, line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return name + colon + rng.choice([value[:-1], value.swapcase(), value + b"x", b"", value.strip(), b" " + value,
                                      value + b" ", value + b"f" * rng.randrange(300)])


def _legal(rng: Random, line: bytes) -> bytes:
    """Return *line* without its invalid bytes."""
    name, colon, value = line.partition(b":")
    return re.sub(rb"[^!#$%&'*+.^`|~0-9A-Za-z-]", b"", name) + colon + re.sub(rb"[\x00-\x08\n-\x1f\x7f]", b"", value)


#: Ends of two lines that together have two CRs and two LFs.
SHIFTED = [(b"\r\r\n", b"\n"), (b"\r\n\n", b"\r"), (b"\r\n\r", b"\n"), (b"\n\r", b"\r\n"), (b"\r\n\r\n", b"")]

#: Replacements for a line in an earlier head.
SIMILAR: list[Callable[[Random, bytes], bytes]] = [
    lambda rng, line: line, lambda rng, line: line, lambda rng, line: line, _other_case, _other_value, _legal,
]


# Mutations of a draft

def _any_line(rng: Random, draft: Draft) -> int:
    return rng.randrange(len(draft.lines))


def add_field(rng: Random, draft: Draft, settings: str) -> None:
    draft.insert(rng.randrange(1, len(draft.lines) + 1), rng.choice(FIELDS))


def repeat_field(rng: Random, draft: Draft, settings: str) -> None:
    draft.insert(rng.randrange(1, len(draft.lines) + 1), draft.lines[_any_line(rng, draft)])


def drop_line(rng: Random, draft: Draft, settings: str) -> None:
    at = _any_line(rng, draft)
    del draft.lines[at], draft.ends[at]
    if not draft.lines:
        draft.insert(0, b"")


def swap_lines(rng: Random, draft: Draft, settings: str) -> None:
    one, other = _any_line(rng, draft), _any_line(rng, draft)
    draft.lines[one], draft.lines[other] = draft.lines[other], draft.lines[one]


def rename_field(rng: Random, draft: Draft, settings: str) -> None:
    at = _any_line(rng, draft)
    name, colon, value = draft.lines[at].partition(b":")
    name = rng.choice([name.upper(), name.lower(), name.swapcase(), name.replace(b"-", b"_"), name + b" ", name + b"\t",
                       b" " + name, name[1:], name + rng.choice(DANGEROUS), b"", name.replace(b"-", b"")])
    draft.lines[at] = name + colon + value


def change_value(rng: Random, draft: Draft, settings: str) -> None:
    at = _any_line(rng, draft)
    name, colon, value = draft.lines[at].partition(b":")
    byte = rng.choice(DANGEROUS)
    value = rng.choice([byte + value, value + byte, b" " + byte + value.strip(), b"", value.upper(),
                        value + b"," + value, value.strip() + b" ", value * 3])
    draft.lines[at] = name + colon + value


def change_end(rng: Random, draft: Draft, settings: str) -> None:
    draft.ends[rng.randrange(len(draft.ends))] = rng.choice(ENDS)


def change_request_line(rng: Random, draft: Draft, settings: str) -> None:
    bits = draft.lines[0].split(b" ", 2)
    choices = rng.choice([(METHODS, 0), (TARGETS, 1), (TARGETS, 1), (VERSIONS, 2)])
    if len(bits) > choices[1]:
        bits[choices[1]] = rng.choice(choices[0])
    draft.lines[0] = rng.choice([b" "] * 12 + [b"  ", b"\t", b"\x0b", b"\xa0", b""]).join(bits)


def start_with(rng: Random, draft: Draft, settings: str) -> None:
    draft.insert(0, rng.choice([b"", b"", b" ", b"\r", b"X"]))
    if rng.random() < 0.3:
        draft.ends[0] = rng.choice(ENDS)


def fit_limit(rng: Random, draft: Draft, settings: str) -> None:
    """Extend a line to about the maximum length."""
    limits = SETTINGS[settings]
    at = _any_line(rng, draft)
    if at == 0:
        limit = limits.get("limit_request_line", 4094) or 8190
        method, _, rest = draft.lines[0].partition(b" ")
        draft.lines[0] = method + b" /" + b"l" * (limit - len(draft.lines[0]) + rng.randrange(-2, 3)) + rest
    else:
        limit = limits.get("limit_request_field_size", 8190) or 8190
        draft.lines[at] += b"f" * (limit - len(draft.lines[at]) - 2 + rng.randrange(-2, 3))


def many_fields(rng: Random, draft: Draft, settings: str) -> None:
    limit = SETTINGS[settings].get("limit_request_fields", 100) or 100
    name = rng.choice([b"X-%d: v", b"x%d:", b"X_%d: v"])
    for number in range(limit - len(draft.lines) + 1 + rng.randrange(-1, 3)):
        draft.insert(len(draft.lines), name % number)


def fold(rng: Random, draft: Draft, settings: str) -> None:
    at = _any_line(rng, draft)
    middle = rng.randrange(len(draft.lines[at]) + 1)
    line = draft.lines[at]
    draft.lines[at] = line[:middle]
    draft.insert(at + 1, rng.choice([b" ", b"\t", b"  "]) + line[middle:])


def change_chunks(rng: Random, draft: Draft, settings: str) -> None:
    """Replace a line of the body or its line end: sizes, extensions and trailers of a chunked body."""
    lines = draft.body.split(b"\r\n")
    at = rng.randrange(len(lines))
    lines[at] = rng.choice([rng.choice(CHUNKS), rng.choice(CHUNKS), rng.choice(FIELDS), lines[at] + rng.choice(CHUNKS)])
    ends = [b"\r\n"] * (len(lines) - 1) + [b""]
    if rng.random() < 0.2:
        ends[at] = rng.choice(ENDS)
    draft.body = b"".join(line + end for line, end in zip(lines, ends))


def add_trailer(rng: Random, draft: Draft, settings: str) -> None:
    if draft.body.endswith(b"\r\n\r\n"):
        trailer = rng.choice([*FIELDS, b"X-T: " + b"t" * rng.randrange(300), b"T-A: 1\r\nT-B: 2\r\nT-C: 3\r\nT-D: 4"])
        draft.body = draft.body[:-2] + trailer + b"\r\n\r\n"


def change_body(rng: Random, draft: Draft, settings: str) -> None:
    draft.body = rng.choice([b"", draft.body[:-1], draft.body + b"x", draft.body * 2, b"x" * rng.randrange(1, 3000),
                             b"5\r\nhello\r\n0\r\n\r\n"])


def swap_body(rng: Random, draft: Draft, settings: str) -> None:
    """Change the framing of the body between Content-Length and chunks."""
    if rng.random() < 0.5:
        draft.insert(len(draft.lines), b"Transfer-Encoding: chunked")
        draft.body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(draft.body), draft.body) if draft.body else b"0\r\n\r\n"
    else:
        draft.insert(len(draft.lines), b"Content-Length: %d" % (len(draft.body) + rng.choice([0, 0, -1, 1])))


MUTATORS: list[Callable[[Random, Draft, str], None]] = [
    add_field, add_field, add_field, add_field, repeat_field, drop_line, swap_lines, rename_field, change_value,
    change_value, change_end, change_end, change_request_line, change_request_line, start_with, fit_limit, many_fields,
    fold, change_chunks, change_chunks, add_trailer, change_body, swap_body, swap_body,
]
