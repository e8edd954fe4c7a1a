"""Clients that misbehave, for some seconds: ``python -m benchmarks.hostile PORT SECONDS``.

Prints as JSON how often each kind of misbehaviour occurred, and which of them the server handled wrongly.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

HOLD = 10.0
"""Seconds after which a client closes a connection that the server should have closed. Longer than each timeout."""
FRAME = 2.0
"""Seconds that a client leaves a WebSocket open which waits for the rest of a frame."""
HOST = "127.0.0.1"

GET = b"GET /token?hostile HTTP/1.1\r\nHost: soak\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: soak\r\n\r\n"
STREAM = b"GET /stream?hostile HTTP/1.1\r\nHost: soak\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = (b"GET /ws/json HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n")

MALFORMED = (
    b"nonsense\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: soak\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : soak\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: soak\r\nX: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: soak\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: soak\r\nX-Long: " + b"x" * 20000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: soak\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: -1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKED + b"zz\r\nabc\r\n",
    CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
    GET + b"\x00\x01\x02 garbage behind a request\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)),
)


@dataclass
class Report:
    done: Counter[str] = field(default_factory=Counter)
    """How often, by kind."""
    refused: int = 0
    """Connections that could not be opened."""
    left_open: Counter[str] = field(default_factory=Counter)
    """Connections that the server should have closed by its timeouts, and did not within HOLD seconds."""
    http_on_websocket: int = 0
    """WebSocket connections on which an HTTP request was answered."""


class Peer:
    """One connection, from the start to the end of an ``async with``, which closes it."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self._port = port
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

    async def __aenter__(self) -> Peer:
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(self.sock, (HOST, self._port)), HOLD)
        except BaseException:
            self.sock.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.sock, data), HOLD)

    async def receive(self, size: int = 65536) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, size), HOLD)

    async def receive_all(self, limit: float = HOLD) -> bytes:
        """All bytes until the server closes. Raises TimeoutError if it does not within *seconds*."""
        received = []

        async def read() -> None:
            while data := await asyncio.get_running_loop().sock_recv(self.sock, 65536):
                received.append(data)

        await asyncio.wait_for(read(), limit)
        return b"".join(received)

    def reset_on_close(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# The kinds of misbehaviour. A TimeoutError means that the server did not close what it should have closed.


async def malformed(peer: Peer, report: Report) -> None:
    await peer.send(random.choice(MALFORMED) if random.random() < 0.9 else os.urandom(200) + b"\r\n\r\n")
    await peer.receive_all()


async def silent(peer: Peer, report: Report) -> None:
    await peer.receive_all()


async def half_head(peer: Peer, report: Report) -> None:
    await peer.send(GET[:random.randrange(1, len(GET) - 1)])
    await peer.receive_all()


async def dripping_head(peer: Peer, report: Report) -> None:
    for byte in GET[:-4]:
        await peer.send(bytes([byte]))
        await asyncio.sleep(0.2)
    await peer.receive_all()


async def half_body(peer: Peer, report: Report) -> None:
    await peer.send(random.choice([POST + b"x" * random.randrange(90000), CHUNKED + b"1000\r\nabc", CHUNKED]))
    await peer.receive_all()


async def slow_reader(peer: Peer, report: Report) -> None:
    await peer.send(LARGE)
    for _ in range(random.randrange(10, 100)):
        if not await peer.receive(4096):
            break
        await asyncio.sleep(0.05)
    if random.random() < 0.5:
        peer.reset_on_close()


async def not_reading(peer: Peer, report: Report) -> None:
    await peer.send(LARGE * 5)
    # The server closes after its write_timeout; a client that does not read does not notice it.
    await asyncio.sleep(HOLD / 2)


async def disconnecting(peer: Peer, report: Report) -> None:
    await peer.send(random.choice([
        b"", GET[:20], GET, GET * 20, POST, POST + b"x" * 50000, STREAM, LARGE, MALFORMED[0]]))
    if random.random() < 0.5:
        peer.reset_on_close()
    if random.random() < 0.5:
        await asyncio.sleep(random.uniform(0, 0.05))


async def websocket(peer: Peer, report: Report) -> None:
    await peer.send(UPGRADE % base64.b64encode(os.urandom(16)))
    if b" 101 " not in await peer.receive():
        return
    await peer.send(random.choice([
        frame(b"this is not JSON"), frame(b'{"nothing": 0}'), frame(b"\xff\xfe"), frame(b"[]", opcode=11),
        b"\x81\x02{}", b"\x81\xff" + b"\xff" * 12, frame(b"{}")[:-1], os.urandom(50)]))
    if random.random() < 0.3:
        peer.reset_on_close()
        return
    # Behind a proxy, which passes all bytes on at this point, this request would bypass the proxy's rules.
    try:
        await asyncio.sleep(0.02)
        await peer.send(GET)
        report.http_on_websocket += b"hostile" in await peer.receive_all(FRAME)
    except ConnectionError:
        pass
    except asyncio.TimeoutError:
        # The rest of a frame is missing; the application decides how long it waits.
        pass


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A WebSocket frame of a client, masked (RFC 6455 section 5.2)."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


@dataclass(frozen=True)
class Kind:
    act: Callable[[Peer, Report], Awaitable[None]]
    clients: int
    pause: float
    """Seconds between two connections of a client, chosen between this number and twice as many."""
    receive_buffer: int = 0

    @property
    def name(self) -> str:
        return self.act.__name__


KINDS = (
    Kind(malformed, 3, 0.15),
    Kind(silent, 60, 0.5),
    Kind(half_head, 30, 0.5),
    Kind(dripping_head, 10, 0.5),
    Kind(half_body, 20, 0.5),
    Kind(slow_reader, 15, 0.5, 4096),
    Kind(not_reading, 5, 0.5, 4096),
    Kind(disconnecting, 4, 0.1),
    Kind(websocket, 4, 0.5),
)


async def client(kind: Kind, port: int, end: float, report: Report) -> None:
    """Open one connection after the other until *end*."""
    loop = asyncio.get_running_loop()
    # Not all at once.
    await asyncio.sleep(random.uniform(0, min(1.0, end - loop.time())))
    while loop.time() < end:
        peer = Peer(port, kind.receive_buffer)
        try:
            async with peer:
                report.done[kind.name] += 1
                await kind.act(peer, report)
        except asyncio.TimeoutError:
            report.left_open[kind.name] += 1
        except ConnectionRefusedError:
            report.refused += 1
        except OSError:
            pass
        await asyncio.sleep(kind.pause * random.uniform(0, 2))


async def attack(port: int, seconds: float) -> Report:
    """Run all kinds for *seconds*, and at most HOLD seconds more until the last connection is closed."""
    report = Report()
    end = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(client(kind, port, end, report) for kind in KINDS for _ in range(kind.clients)))
    return report


async def run(port: int, seconds: float) -> Report:
    """Run in a separate process, so that its processor time does not delay the other clients. Raises RuntimeError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(port), str(seconds), stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the hostile clients ended with status {process.returncode}")
    found: dict[str, Any] = json.loads(output)
    return Report(Counter(found["done"]), found["refused"], Counter(found["left_open"]), found["http_on_websocket"])


if __name__ == "__main__":
    print(json.dumps(vars(asyncio.run(attack(int(sys.argv[1]), float(sys.argv[2]))))))
