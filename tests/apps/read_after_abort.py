"""Applications that use a connection after their worker has aborted it, and log the result.

They wait for it until the file exists that the query names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app_support import answer, route_by_name, say


def read_on(environ: Any, receive: Callable[[int], bytes]) -> None:
    """Read one part, wait for the file, and read the rest. All bytes of the client are x."""
    receive(1)
    say("reading")
    while not Path(environ["QUERY_STRING"]).exists():
        time.sleep(0.01)
    try:
        while part := receive(1000):
            if part.strip(b"x"):
                say(f"foreign bytes: {part[:40]!r}")
        say("read to the end")
    except OSError as error:
        say(f"reading failed: a ConnectionError is {isinstance(error, ConnectionError)}")


def upload(environ: Any, start_response: Any) -> Iterable[bytes]:
    read_on(environ, environ["wsgi.input"].read)
    return answer(start_response, b"an answer")


def upgrade(environ: Any, start_response: Any) -> Iterable[bytes]:
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    read_on(environ, sock.recv)
    raise StopIteration


def closed(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Close the socket before the worker aborts the connection."""
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    sock.close()
    say("closed")
    while not Path(environ["QUERY_STRING"]).exists():
        time.sleep(0.01)
    raise StopIteration


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return a response that the client does not read."""
    return answer(start_response, b"x" * (40 << 20))


app = route_by_name(globals())
