"""Applications that respond in every way of PEP 3333, and in some that it forbids."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

from app_support import route_by_name, say, wait_at

PLAIN = ("Content-Type", "text/plain")


class Parts:
    """An iterable that logs when it is closed."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self.parts = iter(parts)

    def __iter__(self) -> Iterator[bytes]:
        return self.parts

    def close(self) -> None:
        say("close() was called")


def one(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    return [b"all there is"]


def nothing(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    return []


def several(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    return [b"one,", b"", b"two,", b"three"]


def measured(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return parts, with their Content-Length."""
    start_response("200 OK", [PLAIN, ("Content-Length", "13")])
    return iter([b"one,", b"", b"two,", b"three"])


def streamed(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    yield b"first"
    wait_at(environ["QUERY_STRING"])
    yield b"second"


def written(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [PLAIN])
    write(b"written,")
    wait_at(environ["QUERY_STRING"])
    write(b"")
    write(b"again,")
    return [b"returned"]


def status(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the status in the query, with a body even if the status allows none."""
    start_response(unquote(environ["QUERY_STRING"], "latin-1"), [("X-Is", "there"), ("Content-Length", "4")])
    return [b"body"]


def large(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the number of bytes in the query, in one part."""
    start_response("200 OK", [PLAIN])
    return [bytes(range(256)) * (int(environ["QUERY_STRING"]) // 256)]


def large_parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    return (bytes([number % 256]) * 65536 for number in range(int(environ["QUERY_STRING"]) // 65536))


def fields(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the headers in the query: name=value&name=value."""
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True, encoding="latin-1")
    start_response("200 OK", [(name, value) for name, values in query.items() for value in values])
    return [b"body"]


def typed(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return headers of wrong types."""
    wrong: dict[str, Any] = {"name": [(b"X-Name", "v")], "value": [("X-Name", b"v")], "number": [("X-Name", 1)]}
    start_response("200 OK", wrong[environ["QUERY_STRING"]])
    return [b"body"]


# A wrong Content-Length

def too_long(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", "4")])
    return [b"body and more"]


def too_long_parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", "4")])
    return iter([b"bo", b"dy and", b" more", b"!"])


def too_long_write(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [PLAIN, ("Content-Length", "4")])
    write(b"body and")
    return [b" more"]


def too_short(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", "10")])
    return [b"body"]


def too_short_parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", "10")])
    return iter([b"bo", b"dy"])


def too_short_nothing(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN, ("Content-Length", "10")])
    return []


# close()

def closing(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    return Parts([b"one,", b"two"])


def closing_after_error(environ: Any, start_response: Any) -> Iterable[bytes]:
    def parts() -> Iterator[bytes]:
        if environ["QUERY_STRING"] == "late":
            yield b"one,"
        raise LookupError("deliberate")
    start_response("200 OK", [PLAIN])
    return Parts(parts())


def closing_endless(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Stream until the client disconnects, or for 200 MiB."""
    start_response("200 OK", [PLAIN])
    return Parts(b"x" * 65536 for _ in range(3200))


def closing_fails(environ: Any, start_response: Any) -> Iterable[bytes]:
    class Fails(Parts):
        def close(self) -> None:
            raise LookupError("deliberate, in close()")
    start_response("200 OK", [PLAIN])
    return Fails([b"one,", b"two"])


# Errors

def fails(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise LookupError("deliberate")


def exits(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise SystemExit("deliberate")


def silent(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Never call start_response."""
    return [b"body"]


def text(environ: Any, start_response: Any) -> Iterable[Any]:
    start_response("200 OK", [PLAIN])
    return ["text"]


def twice(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [PLAIN])
    start_response("201 Created", [PLAIN])
    return [b"body"]


def replaced(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Call start_response again with exc_info, before anything was sent."""
    start_response("200 OK", [PLAIN, ("X-First", "1"), ("Content-Length", "1")])
    try:
        raise LookupError("deliberate")
    except LookupError:
        start_response("503 Not Now", [PLAIN, ("X-Second", "2")], sys.exc_info())
    return [b"an error page"]


def replaced_late(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same after a part was sent: start_response raises the error again."""
    start_response("200 OK", [PLAIN])
    yield b"first"
    try:
        raise LookupError("deliberate, late")
    except LookupError:
        start_response("503 Not Now", [PLAIN], sys.exc_info())
    yield b"an error page"


app = route_by_name(globals())
