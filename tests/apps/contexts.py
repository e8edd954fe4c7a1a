"""Applications that set context variables and thread-locals, and return what earlier requests have set."""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from app_support import answer, route_by_name, say, wait_at

left: contextvars.ContextVar[str] = contextvars.ContextVar("left", default="nothing")
at_start: contextvars.ContextVar[str] = contextvars.ContextVar("at_start", default="nothing")
local = threading.local()


def seen() -> dict[str, Any]:
    return {"left": left.get(), "local": getattr(local, "left", "nothing"), "at_start": at_start.get(),
            "greenlet": id(threading.current_thread())}


def leave(word: str) -> dict[str, Any]:
    """Return the present values, and set them to ``word``."""
    before = seen()
    left.set(word)
    local.left = word
    return before


def mark(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Set the value in the query, and return the previous ones."""
    before = leave(environ["QUERY_STRING"])
    environ["wsgi.input"].read(-1)
    return answer(start_response, json.dumps(before).encode())


def mark_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same for the variable that was set at the start of the worker."""
    before = seen()
    at_start.set(environ["QUERY_STRING"])
    return answer(start_response, json.dumps(before).encode())


def mark_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    """The same in a generator and in its close()."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        yield json.dumps(leave("generator")).encode()
        yield b" "
    finally:
        left.set("finally")


def mark_error(environ: Any, start_response: Any) -> Iterable[bytes]:
    leave("error")
    raise LookupError("deliberate")


def mark_exit(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Stream until the client disconnects."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for _ in range(3200):
            leave("exit")
            yield b"x" * 65536
    finally:
        say("client left")


def hold(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Set a value, wait for other requests, and return the value."""
    name, _, gate = environ["QUERY_STRING"].partition("&")
    before = leave(name)
    before["held"] = []
    for _ in range(3):
        say(f"holding {name}")
        wait_at(gate)
        before["held"].append(left.get())
    return answer(start_response, json.dumps(before).encode())


def seen_by_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Set a value in the call, and return it while the response is iterated."""
    left.set("in the call")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (left.get().encode() for _ in range(2))


app = route_by_name(globals())
