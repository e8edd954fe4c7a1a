"""Clients that keep their connections while the server is changed, and count the failures."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Union

Address = Union[str, "tuple[str, int]"]
"""The path of a Unix socket, or host and port."""

KEPT = b"GET / HTTP/1.1\r\nHost: keeper\r\n\r\n"
CLOSED = KEPT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
"""A request that is the last on its connection."""
NEWCOMERS_THINK = 0.02
"""Seconds between the requests of a client that opens a connection for each."""
PATIENCE = 40.0
"""Seconds until a request without a response counts as lost."""
BREATH = 0.05
"""Seconds that a client waits after a connection was not accepted."""
INCIDENTS = 10
"""How many failures are described in full."""


@dataclass
class Tally:
    """The results of the requests of all clients."""

    ok: int = 0
    """Complete responses with status 200."""
    lost: int = 0
    """Requests without a complete response: the connection failed, or 40 s passed."""
    raced: int = 0
    """The server closed a kept connection without an announcement in its last response. HTTP permits this
    (RFC 9112 section 9.5); a careful server avoids it."""
    refused: int = 0
    """New connections that were not accepted."""
    non200: int = 0
    """Complete responses with another status."""
    longest: float = 0.0
    """Seconds of the longest wait for a complete response, from the time to send, including the connect."""
    incidents: list[str] = field(default_factory=list)
    """The first failures, each with its time in seconds from the start."""

    @property
    def flawless(self) -> bool:
        return not (self.lost or self.raced or self.refused or self.non200)


class Broken(Exception):
    """The connection ended before the response was complete, or had to be closed."""


@dataclass
class Answer:
    status: int
    body: bytes
    last: bool
    """The server will close the connection."""


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._ended: str | None = None
        self.arrived = b""
        """The bytes received of the current response."""
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send *request*; the future raises Broken."""
        self.arrived = b""
        self._answer = asyncio.get_running_loop().create_future()
        if self._ended is not None or self._transport is None:
            self._answer.set_exception(Broken(self._ended))
        else:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.cut(f"bytes without a request: {data[:80]!r}")
            return
        self.arrived += data
        head, found, rest = self.arrived.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        try:
            body = whole_body(lower, rest)
        except ValueError:
            self.cut("an answer without a length")
            return
        if body is not None:
            self.answers += 1
            self._answer.set_result(Answer(int(head.split(None, 2)[1]), body, b"connection: close" in lower))

    def eof_received(self) -> None:
        self._end("closed")

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error or "closed"))

    def cut(self, reason: str) -> None:
        """Stop waiting."""
        self._end(reason)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Broken(reason))


def whole_body(head: bytes, rest: bytes) -> bytes | None:
    """The body of a response, from its head in lower case and what follows; None while some of it is missing.

    What follows the end of the body is returned with it: it should not be there. Raises ValueError if the head does not
    say where the body ends, or if the chunks are broken.
    """
    if b"\r\ntransfer-encoding: chunked" not in head:
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return rest if len(rest) >= length else None
    body = b""
    while True:
        size, found, rest = rest.partition(b"\r\n")
        length = int(size, 16) if found else 0
        if not found or len(rest) < length + 2:
            return None
        body += rest[:length]
        if rest[length:length + 2] != b"\r\n":
            raise ValueError(f"a chunk of {length} bytes goes on with {rest[length:length + 2]!r}")
        if not length:
            return body + rest[2:]
        rest = rest[length + 2:]


class Keeper:
    """One client: it sends request after request on one connection, and opens a new one only if it must.

    :param address: of the server
    :param request: what to send
    :param think: seconds between an answer and the next request
    :param tally: where to count
    """

    def __init__(self, address: Address, request: bytes, think: float, tally: Tally) -> None:
        self.address = address
        self.request = request
        self.think = think
        self.tally = tally
        self.line: Line | None = None
        self.since = 0.0
        """The time at which the pending request was due; 0 if there is none."""
        self.heard = b""
        """The body of the last response."""
        self.over = False

    async def run(self) -> None:
        """Send requests until :attr:`over`."""
        loop = asyncio.get_running_loop()
        self._start = loop.time()
        try:
            while not self.over:
                self.since = loop.time()
                try:
                    await self._ask()
                except OSError as error:
                    self.tally.refused += 1
                    self._tell("refused", error)
                    await asyncio.sleep(BREATH)
                self.since = 0.0
                await asyncio.sleep(self.think)
        finally:
            self._hang_up()

    async def _ask(self) -> None:
        line = self.line
        if line is None:
            line = self.line = await connect(self.address)
        try:
            answer = await line.ask(self.request)
        except Broken as error:
            # No byte arrived, on a connection that had served before: it was closed while the request was on its way.
            raced = line.answers and not line.arrived and not self._late()
            if raced:
                self.tally.raced += 1
            else:
                self.tally.lost += 1
            self._tell("raced" if raced else "lost", error)
            self._hang_up()
            return
        self._count(answer)
        self.heard = answer.body
        if answer.last:
            self._hang_up()

    def _count(self, answer: Answer) -> None:
        """Count a complete response."""
        if answer.status == 200:
            self.tally.ok += 1
        else:
            self.tally.non200 += 1
            self._tell(f"status {answer.status}", answer.body[:80])
        self.tally.longest = max(self.tally.longest, asyncio.get_running_loop().time() - self.since)

    def check_patience(self) -> None:
        """Fail a request that waits too long."""
        if self.since and self._late() and self.line is not None:
            self.line.cut(f"no response in {PATIENCE:g} s")

    def _late(self) -> bool:
        return asyncio.get_running_loop().time() - self.since > PATIENCE

    def _hang_up(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None

    def _tell(self, what: str, why: object) -> None:
        if len(self.tally.incidents) < INCIDENTS:
            now = asyncio.get_running_loop().time()
            line = self.line
            where = f" on a connection with {line.answers} answers, the last {self.heard!r}" if line else ""
            when = f"{now - self._start:.2f} s: {what} after {now - self.since:.3f} s"
            self.tally.incidents.append(f"{when}{where}: {why}")


async def connect(address: Address) -> Line:
    """Open a connection. Raises OSError."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        _, line = await loop.create_unix_connection(Line, address)
    else:
        _, line = await loop.create_connection(Line, *address, family=socket.AF_INET)
    return line


class Keepers:
    """Many clients, from the start to the end of an ``async with``; :attr:`tally` is complete after it.

    :param address: of the server
    :param count: how many clients keep their connections
    :param newcomers: how many more open a connection for each request
    :param think: seconds between an answer and the next request of those that keep theirs
    """

    def __init__(self, address: Address, count: int = 32, newcomers: int = 4, think: float = 0.002) -> None:
        self.tally = Tally()
        self._keepers = [
            *(Keeper(address, KEPT, think, self.tally) for _ in range(count)),
            *(Keeper(address, CLOSED, NEWCOMERS_THINK, self.tally) for _ in range(newcomers)),
        ]

    def heard(self) -> set[bytes]:
        """The bodies of the last responses, one for each client."""
        return {keeper.heard for keeper in self._keepers}

    async def __aenter__(self) -> Keepers:
        self._tasks = [asyncio.create_task(keeper.run()) for keeper in self._keepers]
        self._watch = asyncio.create_task(self._check_patience())
        return self

    async def __aexit__(self, *_: object) -> None:
        for keeper in self._keepers:
            keeper.over = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for task in (self._watch, *self._tasks):
                task.cancel()
            await asyncio.gather(self._watch, *self._tasks, return_exceptions=True)

    async def _check_patience(self) -> None:
        while True:
            await asyncio.sleep(1)
            for keeper in self._keepers:
                keeper.check_patience()
