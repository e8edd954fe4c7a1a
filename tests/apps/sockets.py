"""Applications that take over the connection: with WebSocket libraries, and without."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from app_support import answer, say
from flask import Flask, request
from flask_sock import Sock

#: bytes of a message that does not fit into the buffers of the kernel
LARGE = 8_000_000

flask = Flask(__name__)
sock = Sock(flask)


@flask.route("/")
def index() -> str:
    return "plain"


@sock.route("/echo")
def echo(ws: Any) -> None:
    """Echo until the message is stop."""
    say(f"websocket opened by {request.args.get('name', 'no name')}")
    while True:
        message = ws.receive()
        if message == "stop":
            break
        ws.send(message)
    say("websocket handler ended")


@sock.route("/fails")
def fails(ws: Any) -> None:
    ws.send(ws.receive())
    raise LookupError("deliberate")


def by_hand(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Respond on the socket, then raise StopIteration, like libraries that support Gunicorn."""
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: upper\r\nConnection: upgrade\r\n\r\n")
    data = sock.recv(1000)
    while data:
        sock.sendall(data.upper())
        data = sock.recv(1000)
    sock.close()
    say("taken over and done")
    raise StopIteration


def handled(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Respond on the socket, then return Gunicorn's ALREADY_HANDLED."""
    from gunicorn.workers.base_async import ALREADY_HANDLED

    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    sock.close()
    return ALREADY_HANDLED  # type: ignore[return-value]


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Send two messages that are larger than the buffers of the kernel from two threads, each in one call."""
    sock = environ["gunicorn.socket"]
    sent: list[int] = []
    threads = [threading.Thread(target=lambda data: sent.append(sock.send(data)), args=[letter * LARGE])
               for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sock.close()
    say(f"sent {sent}")
    raise StopIteration


def raised(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Raise StopIteration without a takeover."""
    raise StopIteration


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/say":
        say(environ["QUERY_STRING"])
        return answer(start_response)
    by_path = {"/by-hand": by_hand, "/handled": handled, "/raised": raised, "/large": large}
    return by_path.get(path, flask)(environ, start_response)
