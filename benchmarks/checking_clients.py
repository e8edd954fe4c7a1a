"""Well-behaved clients: every response is checked, and every wait is recorded."""

from __future__ import annotations

import asyncio
import itertools
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from .clients import Address, Client, Clients, Response, Tally

BODY = 4096
"""Bytes that a POST sends, at least."""
PARTS, PAUSE = 5, 0.01
"""How many parts apps/soak.py streams, and the seconds between two of them."""


@dataclass(frozen=True)
class Exchange:
    """A request, and the expected response after the worker's process id."""

    request: bytes
    body: bytes
    takes: float = 0.0
    """Seconds that the application takes for it."""


@dataclass(frozen=True)
class Kind:
    name: str
    clients: int
    pause: float
    """Mean seconds between two requests of a client; each pause is between 0.5 and 1.5 times as long."""
    exchange: Callable[[bytes], Exchange]
    """Makes a request from a unique word."""


def get(word: bytes) -> Exchange:
    return Exchange(b"GET /token?%s HTTP/1.1\r\nHost: soak\r\n\r\n" % word, word + b"x" * 1024)


def get_once(word: bytes) -> Exchange:
    return Exchange(b"GET /token?%s HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n" % word, word + b"x" * 1024)


def post(word: bytes) -> Exchange:
    body = word * (BODY // len(word) + 1)
    return Exchange(b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), body)


def stream(word: bytes) -> Exchange:
    return Exchange(b"GET /stream?%s HTTP/1.1\r\nHost: soak\r\n\r\n" % word, word * PARTS, PARTS * PAUSE)


KINDS = (
    Kind("GET, kept connections", 10, 0.04, get),
    Kind("GET, a connection each", 3, 0.06, get_once),
    Kind("POST 4 KiB", 4, 0.06, post),
    Kind("streamed response", 2, 0.06, stream),
)


def floats() -> array[float]:
    return array("d")


@dataclass
class Record(Tally):
    """The results of the requests of one kind."""

    wrong: int = 0
    """Responses with status 200 and a wrong body."""
    waits: array[float] = field(default_factory=floats)
    """Seconds that each response took, without the application's own time."""
    lags: array[float] = field(default_factory=floats)
    """Seconds that each request was sent too late, because this program was busy."""
    workers: set[int] = field(default_factory=set)
    """Process ids of the workers that have responded."""

    @property
    def failed(self) -> int:
        return self.lost + self.raced + self.refused + self.non200 + self.wrong


class CheckingClient(Client):
    """One client that checks its responses.

    :param record: where to count
    """

    tally: Record

    def __init__(self, address: Address, kind: Kind, words: itertools.count[int], record: Record) -> None:
        super().__init__(address, b"", kind.pause, record)
        self._kind = kind
        self._words = words
        self._next_due = 0.0

    async def _ask(self) -> None:
        if self._next_due:
            self.tally.lags.append(max(0.0, self.due - self._next_due))
        self._exchange = self._kind.exchange(b"word-%d." % next(self._words))
        self.request = self._exchange.request
        try:
            await super()._ask()
        finally:
            self.pause = self._kind.pause * random.uniform(0.5, 1.5)
            self._next_due = asyncio.get_running_loop().time() + self.pause

    def _count(self, response: Response) -> None:
        super()._count(response)
        self.tally.waits.append(asyncio.get_running_loop().time() - self.due - self._exchange.takes)
        worker, _, body = response.body.partition(b" ")
        if response.status != 200:
            return
        if body == self._exchange.body and worker.isdigit():
            self.tally.workers.add(int(worker))
        else:
            self.tally.ok -= 1
            self.tally.wrong += 1
            self._record_incident("a wrong response", f"{response.body[:80]!r}, expected {self._exchange.body[:40]!r}")


class CheckingClients(Clients):
    """All clients, from the start to the end of an ``async with``; :attr:`records` are complete after it."""

    def __init__(self, address: Address) -> None:
        words = itertools.count()
        self.records = {kind.name: Record() for kind in KINDS}
        self._clients = [CheckingClient(address, kind, words, self.records[kind.name])
                         for kind in KINDS for _ in range(kind.clients)]

    @property
    def workers(self) -> set[int]:
        """Process ids of all workers that have responded."""
        return set().union(*(record.workers for record in self.records.values()))
