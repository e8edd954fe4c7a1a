"""What the test applications share: a path for each, gates that a test opens, words that a test waits for."""

from __future__ import annotations

import functools
import gc
import io
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

App = Callable[..., Iterable[bytes]]

#: A handler waits at one by name, and a request to /open?name opens it. Patched, so the wait is cooperative.
gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)


#: Not os.write, which eventlet patches: it may switch, and lets no second greenlet write meanwhile.
stderr = io.FileIO(2, "w", closefd=False)


def say(text: str) -> None:
    """A line on stderr, where the test's server collects it."""
    stderr.write(text.encode() + b"\n")


@functools.cache
def logs() -> tuple[list[Any], list[Any]]:
    """The worker's log queue and its log streams."""
    from gworkers.logs.queue import LogQueue
    from gworkers.logs.stream import LogStream

    objects = gc.get_objects()
    return ([each for each in objects if type(each) is LogQueue], [each for each in objects if type(each) is LogStream])


def wait_for_log_lines() -> None:
    """Wait until every line that the core has logged so far has been written; for 5 s at most."""
    queues, streams = logs()
    end = time.monotonic() + 5
    while time.monotonic() < end and (
            any(queue.pending for queue in queues) or any(stream.has_pending for stream in streams)):
        time.sleep(0.001)


def wait_at(name: str, limit: float = 15.0) -> None:
    """Wait until a request to /open?name comes."""
    if not gates[name].wait(limit):
        raise TimeoutError(f"nobody opened {name}")


def answer(start_response: Callable[..., Any], body: bytes = b"ok", status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def stage(namespace: dict[str, Any]) -> App:
    """An application that hands a request for /name to the function ``name``.

    /open?name opens a gate, /say?word says a word after everything that has been logged.
    """

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = environ["PATH_INFO"].strip("/").replace("-", "_")
        if name == "open":
            gates[environ["QUERY_STRING"]].set()
            return answer(start_response)
        if name == "say":
            wait_for_log_lines()
            say(environ["QUERY_STRING"])
        if name in ("", "say"):
            return answer(start_response)
        if name not in namespace:
            return answer(start_response, b"no such application", "404 Not Found")
        return namespace[name](environ, start_response)

    return app
