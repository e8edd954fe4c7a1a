"""How long a server takes to stop: with idle connections, and after its last request."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from . import environments
from .idle import Idle, allow
from .measurement import Processors, prepare, progress
from .peers import Peer, Site
from .server import Server, ServerFailed, free_port

WITH_IDLE = 2.5
"""Seconds. The most that gworkers may take from TERM on: drain_keepalive and a margin."""
AFTER_REQUEST = 0.3
"""Seconds. The most that it may take from the end of its last request, with no idle connection."""

#: The interim response tells the client that the request is running (RFC 9110 section 10.1.1).
BEGIN = b"POST / HTTP/1.1\r\nHost: benchmark\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
REST = b"x"
RUNNING = 1.0
"""Seconds that the last request continues after TERM."""
WAIT_LIMIT = 10.0
"""Seconds for each piece of a response."""


def main(peers: Sequence[Peer], count: int, rounds: int, processors: Processors) -> int:
    """Print the longest stops of each of *peers*; 1 when gworkers took too long or a server failed."""
    allow(count)
    failures: dict[str, str] = {}
    programs = prepare(peers, failures)
    print(f"seconds until no process is left, the longest of {rounds} rounds:")
    print(f"from TERM on with {count:,} idle connections, and with none from the end of the last request on")
    for peer in peers:
        if peer.name in programs:
            progress(peer.name)
            try:
                idle = max(with_idle(peer, programs[peer.name], count, processors) for _ in range(rounds))
                busy = max(after_request(peer, programs[peer.name], processors) for _ in range(rounds))
            except (ServerFailed, OSError) as error:
                failures[peer.name] = str(error)
                continue
            finally:
                progress("")
            print(f"  {peer.title:24}{idle:>9.2f}{busy:>9.2f}", flush=True)
            slow = exceeded_limits(idle, busy)
            if peer.own and slow:
                failures[peer.name] = slow
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    return 1 if failures else 0


def exceeded_limits(idle: float, busy: float) -> str:
    """The times that exceed the limits of gworkers; empty if there are none."""
    found = []
    if idle > WITH_IDLE:
        found.append(f"{idle:.2f} s with idle connections; the limit is {WITH_IDLE:g} s")
    if busy > AFTER_REQUEST:
        found.append(f"{busy:.2f} s after the last request; the limit is {AFTER_REQUEST:g} s")
    return "; ".join(found)


def with_idle(peer: Peer, programs: Path, count: int, processors: Processors) -> float:
    """Seconds from TERM, with *count* connections that have each served a request, until no process is left.

    Raises ServerFailed.
    """
    with serve(peer, Site(programs, free_port(), "hello", count), processors) as server, Idle(server.port, count):
        begun = time.monotonic()
        server.process.terminate()
        server.wait_for_exit()
        return time.monotonic() - begun


def after_request(peer: Peer, programs: Path, processors: Processors) -> float:
    """Seconds from the end of a request that was running at TERM until no process is left. Raises ServerFailed."""
    with serve(peer, Site(programs, free_port(), "upload", 1), processors) as server:
        with socket.create_connection(("127.0.0.1", server.port), WAIT_LIMIT) as sock:
            sock.sendall(BEGIN)
            if not sock.recv(4096).startswith(b"HTTP/1.1 100 "):
                raise ServerFailed("a request that expects 100-continue had no interim response")
            server.process.terminate()
            time.sleep(RUNNING)
            sock.sendall(REST)
            check(sock)
        ended = time.monotonic()
        server.wait_for_exit()
        return time.monotonic() - ended


def serve(peer: Peer, site: Site, processors: Processors) -> Server:
    return Server(peer.command(site), site.port, environments.cache() / "server.log", processor=processors.server)


def check(sock: socket.socket) -> None:
    """Read the response to the last request. Raises ServerFailed."""
    response = HTTPResponse(sock)
    try:
        response.begin()
        body = response.read()
    except HTTPException as error:
        raise ServerFailed(f"the request that was running at TERM had no response: {error!r}") from error
    if (response.status, body) != (200, b"1"):
        raise ServerFailed(f"the request that was running at TERM was answered with {response.status} {body[:80]!r}")
