"""Applications that read on from a connection which their worker has cut, and say what they get.

The query names a file: they go on once it is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stage import answer, say, stage


def read_on(environ: Any, receive: Callable[[int], bytes]) -> None:
    """Read one part, wait for the file, and read the rest: of a client whose every byte is an x."""
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
    """The application has closed the socket before its worker cuts the connection."""
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    sock.close()
    say("closed")
    while not Path(environ["QUERY_STRING"]).exists():
        time.sleep(0.01)
    raise StopIteration


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    """An answer that its client does not take."""
    return answer(start_response, b"x" * (40 << 20))


app = stage(globals())
