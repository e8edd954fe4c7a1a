"""Applications that do not end by themselves, and log when they are ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from app_support import answer, route_by_name, say
from flask import Flask
from flask_sock import Sock

flask = Flask(__name__)
sockets = Sock(flask)


def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    try:
        while True:
            yield b"tick\n"
            time.sleep(0.02)
    finally:
        say("stream ended")


def silent_stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Send nothing, like an application that waits for an event."""
    start_response("200 OK", [])
    try:
        yield b"tick\n"
        while True:
            time.sleep(0.02)
    finally:
        say("silent stream ended")


@sockets.route("/websocket")
def websocket(ws: Any) -> None:
    say("websocket opened")
    try:
        while True:
            ws.send(ws.receive())
    except Exception as error:
        say(f"websocket ended by {type(error).__name__}")
        raise


def upgrade(environ: Any, start_response: Any) -> Iterable[bytes]:
    sock = environ["gunicorn.socket"]
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n")
    try:
        while data := sock.recv(1000):
            sock.sendall(data)
        say("upgraded connection ended")
    finally:
        sock.close()
    raise StopIteration


def read_late(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Respond without reading the body."""
    return answer(start_response)


names = route_by_name(globals())


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    """With the query string ``end``, a request does not delay a drain."""
    if environ["QUERY_STRING"] == "end":
        environ["gworkers.end_in_drain"]()
    return flask(environ, start_response) if environ["PATH_INFO"] == "/websocket" else names(environ, start_response)
