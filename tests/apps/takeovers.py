"""Takeovers that end normally or fail, alone and behind middlewares, and a page that a proxy forbids.

The path is ``/MIDDLEWARE/LIBRARY/HANDLER``, such as ``/generator/flask-sock/echo``.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from app_support import answer, say
from flask import Flask
from flask_sock import Sock
from socket_access import descriptors

flask = Flask(__name__)
sock = Sock(flask)

__all__ = ["app", "descriptors"]

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: upper\r\nConnection: upgrade\r\n\r\n"


# Handlers of WebSocket libraries


@sock.route("/flask-sock/echo")
def echo(ws: Any) -> None:
    while (message := ws.receive()) != "stop":
        ws.send(message)


@sock.route("/flask-sock/fails")
def fails(ws: Any) -> None:
    """Fail after the first message."""
    ws.send(ws.receive())
    raise LookupError("deliberate")


def eventlet_echo(ws: Any) -> None:
    while (message := ws.wait()) not in (None, "stop"):
        ws.send(message)


def eventlet_fails(ws: Any) -> None:
    ws.send(ws.wait())
    raise LookupError("deliberate")


def eventlet_websocket(environ: Any, start_response: Any) -> Iterable[bytes]:
    from eventlet.websocket import WebSocketWSGI

    handler = {"/eventlet/echo": eventlet_echo, "/eventlet/fails": eventlet_fails}[environ["PATH_INFO"]]
    return WebSocketWSGI(handler)(environ, start_response)  # type: ignore[no-any-return]


# Without a library: the ways to send on the socket itself, and what the application does then


def with_sendall(environ: Any) -> None:
    environ["gunicorn.socket"].sendall(SWITCHING)


def with_a_file(environ: Any) -> None:
    with environ["gunicorn.socket"].makefile("wb") as file:
        file.write(SWITCHING)


def with_a_duplicate(environ: Any) -> None:
    environ["gunicorn.socket"].dup().sendall(SWITCHING)


def with_the_descriptor(environ: Any) -> None:
    os.write(environ["gunicorn.socket"].fileno(), SWITCHING)


def and_fails(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise LookupError("deliberate")


def and_answers(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return a response, like the view of a framework, which must return one."""
    return answer(start_response, b"an HTTP answer")


def and_answers_in_parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return iter([b"an HTTP ", b"answer"])


def and_answers_without_end(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    try:
        for _ in range(10000):
            yield b"an HTTP answer"
        say("served to the end")
    finally:
        say("stopped by close()")


def and_writes(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])(b"an HTTP answer")
    return []


def and_reads_no_more(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read the body, for which the server would send a 100 response."""
    environ["wsgi.input"].read()
    return answer(start_response, b"an HTTP answer")


def and_hints(environ: Any, start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    return answer(start_response, b"an HTTP answer")


def while_iterated(environ: Any, start_response: Any) -> Iterator[bytes]:
    """A generator that takes the socket in the middle of its response."""
    start_response("200 OK", [])
    yield b"before"
    environ["gunicorn.socket"].sendall(b"by hand")


def while_iterated_last(environ: Any, start_response: Any) -> Iterator[bytes]:
    """The same with a Content-Length, so that nothing is missing at the end of the response."""
    start_response("200 OK", [("Content-Length", "6")])
    yield b"before"
    environ["gunicorn.socket"].sendall(b"by hand")


def by_hand(environ: Any, start_response: Any) -> Iterable[bytes]:
    how, then, *_ = environ["QUERY_STRING"].split("+")
    globals()[how.replace("-", "_")](environ)
    return globals()[then.replace("-", "_")](environ, start_response)  # type: ignore[no-any-return]


# Uses of the socket that only read


def fact(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the property of the socket that the query names."""
    sock = environ["gunicorn.socket"]
    name = environ["QUERY_STRING"]
    arguments = {"getsockopt": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                 "setsockopt": (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)}.get(name, ())
    value = getattr(sock, name)
    return answer(start_response, repr(value(*arguments) if callable(value) else value).encode())


def looks(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Check whether the client is still connected, then do what the query says."""
    sock = environ["gunicorn.socket"]
    if select.select([sock], [], [], 0)[0]:
        sock.recv(1, socket.MSG_PEEK)
    if environ["QUERY_STRING"]:
        return globals()[environ["QUERY_STRING"].replace("-", "_")](environ, start_response)  # type: ignore[no-any-return]
    return answer(start_response, b"the client is there")


def looks_in_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    environ["gunicorn.socket"].settimeout(5)
    yield b"the client "
    yield b"is there"


def looks_after_the_head(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "8")])
    yield b"the "
    environ["gunicorn.socket"].settimeout(5)
    yield b"head"


def prepares(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Prepare the socket for another protocol, then refuse the handshake."""
    sock = environ["gunicorn.socket"]
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.settimeout(5)
    return answer(start_response, b"no such protocol", "400 Bad Request")


def admin(environ: Any, start_response: Any) -> Iterable[bytes]:
    say("admin was served")
    return answer(start_response, b"secrets")


def dispatch(environ: Any, start_response: Any) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path.startswith("/eventlet/"):
        return eventlet_websocket(environ, start_response)
    if path.startswith("/flask-sock/"):
        return flask(environ, start_response)
    name = path.strip("/").replace("-", "_")
    if name == "say":
        say(environ["QUERY_STRING"])
    if name in ("", "say"):
        return answer(start_response)
    return globals()[name](environ, start_response)  # type: ignore[no-any-return]


# Middlewares


def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield from dispatch(environ, start_response)


def caught(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Catch errors, like frameworks that have their own error pages."""
    try:
        return dispatch(environ, start_response)
    except LookupError:
        start_response("500 Internal Server Error", [("Content-Length", "12")], sys.exc_info())
        return [b"a 500 answer"]


def debugger(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Catch all exceptions, like the DebuggedApplication of Werkzeug, even StopIteration."""
    try:
        yield from dispatch(environ, start_response)
    except Exception:
        start_response("500 Internal Server Error", [], sys.exc_info())
        yield b"a 500 answer"


MIDDLEWARES = {"generator": generator, "caught": caught, "debugger": debugger}


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    first, _, rest = environ["PATH_INFO"][1:].partition("/")
    if first in MIDDLEWARES:
        environ["PATH_INFO"] = f"/{rest}"
    return MIDDLEWARES.get(first, dispatch)(environ, start_response)
