"""Applications that read the request body in every way, or not at all."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from app_support import answer, route_by_name, say, wait_at


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    return answer(start_response, environ["wsgi.input"].read(-1))


def ignored(environ: Any, start_response: Any) -> Iterable[bytes]:
    return answer(start_response, b"not read")


def ignored_parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"not ", b"read"])


def some(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read the number of bytes in the query, and leave the rest."""
    return answer(start_response, environ["wsgi.input"].read(int(environ["QUERY_STRING"])))


def digest(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"]
    total = hashlib.sha256()
    part = body.read(65536)
    while part:
        total.update(part)
        part = body.read(65536)
    return answer(start_response, total.hexdigest().encode())


def script(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Call the methods that the query lists, [["read", 3], ["readline"], ["next"], ...], and return the results."""
    body = environ["wsgi.input"]
    results: list[Any] = []
    for name, *arguments in json.loads(unquote(environ["QUERY_STRING"])):
        if name == "next":
            result: Any = next(iter(body), b"")
        elif name == "list":
            result = list(body)
        else:
            result = getattr(body, name)(*arguments)
        lines = isinstance(result, list)
        results.append([line.decode("latin-1") for line in result] if lines else result.decode("latin-1"))
    return answer(start_response, json.dumps(results).encode())


def caught(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read single bytes, and return what was read before an error."""
    body = environ["wsgi.input"]
    seen = b""
    try:
        part = body.read(1)
        while part:
            seen += part
            part = body.read(1)
    except OSError as error:
        say(f"body failed: {type(error).__name__} after {seen!r}")
        return answer(start_response, b"failed after " + seen, "400 Bad Body")
    return answer(start_response, b"whole: " + seen)


def twice(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Continue to read after an error, and return the names of the errors."""
    names = []
    for _ in range(2):
        try:
            environ["wsgi.input"].read(-1)
        except OSError as error:
            names.append(type(error).__name__)
    return answer(start_response, " ".join(names).encode())


def after_head(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Send a first part of the response, then read."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"before,"
    yield environ["wsgi.input"].read(-1)


def after_gate(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read when the gate is open."""
    say("handler waits")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response, environ["wsgi.input"].read(-1))


def trailing(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read in steps, and once more after the end."""
    body = environ["wsgi.input"]
    parts = [body.read(3), body.read(-1), body.read(-1), body.readline(), body.read(1)]
    return answer(start_response, b"|".join(parts))


def fails(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise LookupError("deliberate")


def option(environ: Any, start_response: Any) -> Iterable[bytes]:
    value = environ["gunicorn.socket"].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    return answer(start_response, b"1" if value else b"0")


def peer(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the kind of the connection's socket."""
    sock = environ["gunicorn.socket"]
    seen = {"family": int(sock.family), "hub": sock.__class__.__module__.partition(".")[0]}
    return answer(start_response, json.dumps(seen).encode())


app = route_by_name(globals())
