"""Applications that leave something behind in context variables and thread-locals, and look for what others left."""

from __future__ import annotations

import contextvars
import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from stage import answer, say, stage, wait_at

left: contextvars.ContextVar[str] = contextvars.ContextVar("left", default="nothing")
at_start: contextvars.ContextVar[str] = contextvars.ContextVar("at_start", default="nothing")
local = threading.local()


def seen() -> dict[str, Any]:
    return {"left": left.get(), "local": getattr(local, "left", "nothing"), "at_start": at_start.get(),
            "greenlet": id(threading.current_thread())}


def leave(word: str) -> dict[str, Any]:
    """What was there, before ``word`` takes its place."""
    before = seen()
    left.set(word)
    local.left = word
    return before


def mark(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Leaves what the query says, and answers with what was there before."""
    before = leave(environ["QUERY_STRING"])
    environ["wsgi.input"].read(-1)
    return answer(start_response, json.dumps(before).encode())


def mark_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same to what was set at the worker's start."""
    before = seen()
    at_start.set(environ["QUERY_STRING"])
    return answer(start_response, json.dumps(before).encode())


def mark_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    """The same, in a generator and in its close()."""
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
    """Streams until its client has left."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for _ in range(3200):
            leave("exit")
            yield b"x" * 65536
    finally:
        say("client left")


def hold(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Sets, waits for others to set, and must still see its own."""
    name, _, gate = environ["QUERY_STRING"].partition("&")
    before = leave(name)
    before["held"] = []
    for _ in range(3):
        say(f"holding {name}")
        wait_at(gate)
        before["held"].append(left.get())
    return answer(start_response, json.dumps(before).encode())


def seen_by_parts(environ: Any, start_response: Any) -> Iterator[bytes]:
    """What is set in the call is still there while the answer is iterated."""
    left.set("in the call")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (left.get().encode() for _ in range(2))


app = stage(globals())
