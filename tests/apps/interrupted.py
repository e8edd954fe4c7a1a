"""Applications whose response is interrupted while it is sent, and that ignore the interruption."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from app_support import answer, route_by_name, say

#: More bytes than the buffers of a connection hold.
LARGE = b"x" * (40 << 20)


def interrupted(send: Callable[[], object], seconds: float = 0.3) -> None:
    """Call *send* with a timeout of the hub's library, and ignore the timeout."""
    if "gevent" in sys.modules:
        from gevent import Timeout
    else:
        from eventlet import Timeout
    try:
        with Timeout(seconds):
            send()
        say("sent")
    except Timeout:
        say("interrupted")


def in_time(send: Callable[[], object]) -> None:
    interrupted(send, 30)


def late(send: Callable[[], object]) -> None:
    """Call *send* until it raises after ``write_timeout``."""
    try:
        send()
        say("sent")
    except OSError as error:
        say(f"interrupted: a TimeoutError is {isinstance(error, TimeoutError)}")


def killed(send: Callable[[], object]) -> None:
    """Call *send* in a greenlet that is killed meanwhile."""
    if "gevent" in sys.modules:
        from gevent import sleep, spawn
    else:
        from eventlet import sleep, spawn
    greenlet = spawn(send)
    sleep(0.3)
    greenlet.kill()
    say("interrupted")


INTERRUPTIONS = {"in-time": in_time, "interrupted": interrupted, "late": late, "killed": killed}


def interruption(environ: Any) -> Callable[[Callable[[], object]], None]:
    return INTERRUPTIONS[environ["QUERY_STRING"]]


def measured(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Interrupt a response with a Content-Length."""
    write = start_response("200 OK", [("Content-Length", str(len(LARGE)))])
    interruption(environ)(lambda: write(LARGE))
    return []


def in_chunks(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    interruption(environ)(lambda: write(LARGE))
    return []


def goes_on(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Send another part after the interrupted one."""
    write = start_response("200 OK", [])
    interruption(environ)(lambda: write(LARGE))
    try:
        write(b"another part")
    except OSError:
        say("no more can be sent")
    return [b"and the last"]


def hints(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Interrupt early hints, before the response."""
    def send() -> None:
        while True:
            environ["wsgi.early_hints"]([("Link", "</" + "x" * 100000 + ">; rel=preload")])
    interruption(environ)(send)
    return answer(start_response, b"another part")


def fails_after_hints(environ: Any, start_response: Any) -> Iterable[bytes]:
    hints(environ, start_response)
    raise LookupError("deliberate")


def next_one(environ: Any, start_response: Any) -> Iterable[bytes]:
    return answer(start_response, b"the response to the next request")


app = route_by_name(globals())
