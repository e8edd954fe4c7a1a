"""The clients that detect lost requests: they distinguish each kind of loss."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.clients import Clients, Tally

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def tally_of(behave: Behaviour, path: Path, done: Callable[[Tally], object], count: int = 1,
             new_connections: int = 0) -> Tally:
    """The tally of a client at a server that runs *behave* on each connection, until *done*."""
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def run() -> Tally:
        server = await asyncio.start_unix_server(handle, path)
        async with Clients(str(path), count, new_connections) as clients:
            await asyncio.wait_for(watch(clients.tally), 10)
        server.close()
        return clients.tally

    async def watch(tally: Tally) -> None:
        while not done(tally):
            await asyncio.sleep(0.001)

    return asyncio.run(run())


async def request(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await request(reader)
        # In pieces, which a client must accept.
        writer.write(ANSWER[:20])
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(ANSWER[20:])


def test_answered_requests_are_counted(tmp_path: Path) -> None:
    tally = tally_of(serve, tmp_path / "socket", lambda tally: tally.ok >= 20)
    assert tally.flawless
    assert tally.incidents == []
    assert tally.longest > 0


def test_announced_close_is_not_a_loss(tmp_path: Path) -> None:
    async def last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    assert tally_of(last, tmp_path / "socket", lambda tally: tally.ok >= 20).flawless


def test_new_connections_send_one_request_each(tmp_path: Path) -> None:
    connections = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        await writer.drain()

    tally = tally_of(count, tmp_path / "socket", lambda tally: tally.ok >= 3, count=0, new_connections=1)
    assert tally.flawless
    assert len(connections) == tally.ok
    assert all(b"\r\nConnection: close\r\n" in head for head in connections)


def test_close_before_the_response_is_a_loss(tmp_path: Path) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)

    tally = tally_of(leave, tmp_path / "socket", lambda tally: tally.lost)
    assert (tally.ok, tally.raced, tally.refused, tally.non200) == (0, 0, 0, 0)
    assert "lost" in tally.incidents[0]


def test_close_within_the_response_is_a_loss(tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(ANSWER)
        await request(reader)
        writer.write(ANSWER[:-1])
        await writer.drain()

    tally = tally_of(half, tmp_path / "socket", lambda tally: tally.lost)
    assert tally.ok
    assert (tally.raced, tally.refused, tally.non200) == (0, 0, 0)


def test_close_of_an_idle_connection_is_a_race(tmp_path: Path) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(ANSWER)
        await writer.drain()

    tally = tally_of(once, tmp_path / "socket", lambda tally: tally.raced)
    assert tally.ok
    assert (tally.lost, tally.refused, tally.non200) == (0, 0, 0)


def test_other_statuses_are_counted(tmp_path: Path) -> None:
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(ANSWER.replace(b"200 OK", b"503 Not now"))

    tally = tally_of(fail, tmp_path / "socket", lambda tally: tally.non200)
    assert (tally.ok, tally.lost, tally.raced, tally.refused) == (0, 0, 0, 0)
    assert "503" in tally.incidents[0]


def test_refused_connections_are_counted() -> None:
    async def run() -> Tally:
        with socket.socket() as sock:
            # Bound to reserve the port, but not listening.
            sock.bind(("127.0.0.1", 0))
            async with Clients(sock.getsockname(), count=1, new_connections=0) as clients:
                while not clients.tally.refused:
                    await asyncio.sleep(0.001)
        return clients.tally

    tally = asyncio.run(run())
    assert (tally.ok, tally.lost, tally.raced, tally.non200) == (0, 0, 0, 0)
