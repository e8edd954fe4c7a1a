"""Clients that keep their connections while the server is changed, and count the failures."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Union

Address = Union[str, "tuple[str, int]"]
"""The path of a Unix socket, or host and port."""

KEEP_ALIVE_REQUEST = b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n"
CLOSE_REQUEST = KEEP_ALIVE_REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
"""A request that is the last on its connection."""
NEW_CONNECTION_PAUSE = 0.02
"""Seconds between the requests of a client that opens a connection for each."""
WAIT_LIMIT = 40.0
"""Seconds until a request without a response counts as lost."""
RETRY_PAUSE = 0.05
"""Seconds that a client waits after a connection was not accepted."""
MAX_INCIDENTS = 10
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
class Response:
    status: int
    body: bytes
    last: bool
    """The server will close the connection."""


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[Response] | None = None
        self._end_reason: str | None = None
        self.received = b""
        """The bytes received of the current response."""
        self.response_count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, request: bytes) -> asyncio.Future[Response]:
        """Send *request*; the future raises Broken."""
        self.received = b""
        self._response = asyncio.get_running_loop().create_future()
        if self._end_reason is not None or self._transport is None:
            self._response.set_exception(Broken(self._end_reason))
        else:
            self._transport.write(request)
        return self._response

    def data_received(self, data: bytes) -> None:
        if self._response is None or self._response.done():
            self.abort(f"bytes without a request: {data[:80]!r}")
            return
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        try:
            body = whole_body(lower, rest)
        except ValueError:
            self.abort("a response without a length")
            return
        if body is not None:
            self.response_count += 1
            self._response.set_result(Response(int(head.split(None, 2)[1]), body, b"connection: close" in lower))

    def eof_received(self) -> None:
        self._end("closed")

    def connection_lost(self, error: Exception | None) -> None:
        self._end(str(error or "closed"))

    def abort(self, reason: str) -> None:
        """Stop waiting."""
        self._end(reason)
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _end(self, reason: str) -> None:
        if self._end_reason is None:
            self._end_reason = reason
        if self._response is not None and not self._response.done():
            self._response.set_exception(Broken(reason))


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
            raise ValueError(f"a chunk of {length} bytes continues with {rest[length:length + 2]!r}")
        if not length:
            return body + rest[2:]
        rest = rest[length + 2:]


class Client:
    """One client: it sends request after request on one connection, and opens a new one only if it must.

    :param address: of the server
    :param request: what to send
    :param pause: seconds between a response and the next request
    :param tally: where to count
    """

    def __init__(self, address: Address, request: bytes, pause: float, tally: Tally) -> None:
        self.address = address
        self.request = request
        self.pause = pause
        self.tally = tally
        self.connection: Connection | None = None
        self.due = 0.0
        """The time at which the pending request was to be sent; 0 if there is none."""
        self.last_body = b""
        """The body of the last response."""
        self.stopping = False

    async def run(self) -> None:
        """Send requests until :attr:`stopping`."""
        loop = asyncio.get_running_loop()
        self._start = loop.time()
        try:
            while not self.stopping:
                self.due = loop.time()
                try:
                    await self._ask()
                except OSError as error:
                    self.tally.refused += 1
                    self._record_incident("refused", error)
                    await asyncio.sleep(RETRY_PAUSE)
                self.due = 0.0
                await asyncio.sleep(self.pause)
        finally:
            self._disconnect()

    async def _ask(self) -> None:
        connection = self.connection
        if connection is None:
            connection = self.connection = await connect(self.address)
        try:
            response = await connection.send(self.request)
        except Broken as error:
            # No byte arrived, on a connection that had served before: it was closed while the request was on its way.
            raced = connection.response_count and not connection.received and not self._is_overdue()
            if raced:
                self.tally.raced += 1
            else:
                self.tally.lost += 1
            self._record_incident("raced" if raced else "lost", error)
            self._disconnect()
            return
        self._count(response)
        self.last_body = response.body
        if response.last:
            self._disconnect()

    def _count(self, response: Response) -> None:
        """Count a complete response."""
        if response.status == 200:
            self.tally.ok += 1
        else:
            self.tally.non200 += 1
            self._record_incident(f"status {response.status}", response.body[:80])
        self.tally.longest = max(self.tally.longest, asyncio.get_running_loop().time() - self.due)

    def check_timeout(self) -> None:
        """Fail a request that waits too long."""
        if self.due and self._is_overdue() and self.connection is not None:
            self.connection.abort(f"no response in {WAIT_LIMIT:g} s")

    def _is_overdue(self) -> bool:
        return asyncio.get_running_loop().time() - self.due > WAIT_LIMIT

    def _disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _record_incident(self, what: str, why: object) -> None:
        if len(self.tally.incidents) < MAX_INCIDENTS:
            now = asyncio.get_running_loop().time()
            connection = self.connection
            where = ""
            if connection:
                where = f" on a connection with {connection.response_count} responses, the last {self.last_body!r}"
            when = f"{now - self._start:.2f} s: {what} after {now - self.due:.3f} s"
            self.tally.incidents.append(f"{when}{where}: {why}")


async def connect(address: Address) -> Connection:
    """Open a connection. Raises OSError."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        _, connection = await loop.create_unix_connection(Connection, address)
    else:
        _, connection = await loop.create_connection(Connection, *address, family=socket.AF_INET)
    return connection


class Clients:
    """Many clients, from the start to the end of an ``async with``; :attr:`tally` is complete after it.

    :param address: of the server
    :param count: number of clients that keep their connections
    :param new_connections: number of further clients that open a connection for each request
    :param pause: seconds between a response and the next request on a kept connection
    """

    def __init__(self, address: Address, count: int = 32, new_connections: int = 4, pause: float = 0.002) -> None:
        self.tally = Tally()
        self._clients = [
            *(Client(address, KEEP_ALIVE_REQUEST, pause, self.tally) for _ in range(count)),
            *(Client(address, CLOSE_REQUEST, NEW_CONNECTION_PAUSE, self.tally) for _ in range(new_connections)),
        ]

    def last_bodies(self) -> set[bytes]:
        """The bodies of the last responses, one for each client."""
        return {client.last_body for client in self._clients}

    async def __aenter__(self) -> Clients:
        self._tasks = [asyncio.create_task(client.run()) for client in self._clients]
        self._watch = asyncio.create_task(self._check_timeouts())
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            client.stopping = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            for task in (self._watch, *self._tasks):
                task.cancel()
            await asyncio.gather(self._watch, *self._tasks, return_exceptions=True)

    async def _check_timeouts(self) -> None:
        while True:
            await asyncio.sleep(1)
            for client in self._clients:
                client.check_timeout()
