"""Applications that leave something running after their request."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from threading import Thread
from typing import Any

from app_support import answer, gates, route_by_name, say, wait_at
from greenlet import GreenletExit, getcurrent

#: The timeouts that requests have started and not cancelled.
timeouts: list[Any] = []


def start_timeout() -> Any:
    """Start a timeout for the current greenlet, with the library of the hub."""
    if "gevent" in sys.modules:
        from gevent import Timeout

        return Timeout.start_new(0.05)
    from eventlet import Timeout

    return Timeout(0.05)


def call_in_hub(function: Callable[..., Any], *arguments: Any) -> None:
    if "gevent" in sys.modules:
        from gevent import get_hub

        get_hub().loop.run_callback(function, *arguments)
    else:
        from eventlet.hubs import get_hub

        get_hub().schedule_call_global(0, function, *arguments)


def in_background(work: Callable[[], None]) -> None:
    """Start a thread, which is a greenlet because threads are patched."""
    Thread(target=work, daemon=True).start()


def leave_timeout(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Start a timeout when the gate is open, and do not cancel it."""
    say("about to leave a timeout")
    wait_at(environ["QUERY_STRING"])
    timeouts.append(start_timeout())
    return answer(start_response)


def running_timeouts(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the number of timeouts that have not expired."""
    return answer(start_response, str(sum(timeout.pending for timeout in timeouts)).encode())


def kill_later(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Kill the request greenlet when the gate is open."""
    word, greenlet = environ["QUERY_STRING"], getcurrent()

    def kill() -> None:
        greenlet.throw(GreenletExit)
        say(f"killed {word}")

    def work() -> None:
        wait_at(word)
        call_in_hub(kill)

    in_background(work)
    return answer(start_response)


def read_on(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Leave a greenlet that waits for the rest of the body, and respond."""
    word, body = environ["QUERY_STRING"], environ["wsgi.input"]

    def work() -> None:
        try:
            body.read(3)
            gates[f"{word} has begun"].set()
            report(word, body.read)
        finally:
            gates[f"{word} has begun"].set()

    in_background(work)
    wait_at(f"{word} has begun")
    return answer(start_response)


def read_later(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Leave a greenlet that reads the body when the gate is open, and respond."""
    word, body = environ["QUERY_STRING"], environ["wsgi.input"]

    def work() -> None:
        wait_at(word)
        report(word, body.read)

    in_background(work)
    return answer(start_response)


def write_later(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Leave a greenlet that writes to the response when the gate is open. The response has two parts."""
    word = environ["QUERY_STRING"]
    write = start_response("200 OK", [("Content-Type", "text/plain")])

    def work() -> None:
        wait_at(word)
        report(word, lambda: write(b"INJECTED"))

    in_background(work)
    return [b"one,", b"two"]


def write_later_whole(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same with a response of one part, with its length."""
    return list(write_later(environ, start_response))[:1]


def hint_later(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Leave a greenlet that sends early hints when the gate is open."""
    word, hint = environ["QUERY_STRING"], environ["wsgi.early_hints"]

    def work() -> None:
        wait_at(word)
        report(word, lambda: hint([("Link", "</injected.css>; rel=preload")]))

    in_background(work)
    return answer(start_response)


def report(word: str, attempt: Callable[[], Any]) -> None:
    """Log the result."""
    try:
        result = repr(attempt())
    except (OSError, RuntimeError) as error:
        result = "OSError" if isinstance(error, OSError) else type(error).__name__
    say(f"{word} got {result}")


def echo_later(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the body, in two parts, when the gate is open."""
    word = environ["QUERY_STRING"]
    say(f"{word} waits")
    wait_at(word)
    data = environ["wsgi.input"].read(-1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [data[:3], data[3:]]


app = route_by_name(globals())
