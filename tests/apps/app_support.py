"""Shared by the test applications: routes by name, gates that a test opens, log lines that a test waits for."""

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

#: A handler waits at a gate, and a request to /open?name opens it. The wait is cooperative, because it is patched.
gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)


#: Not os.write(): eventlet's version may switch, and allows only one greenlet to write at a time.
stderr = io.FileIO(2, "w", closefd=False)


def say(text: str) -> None:
    """Write a line to stderr, which the test reads."""
    stderr.write(text.encode() + b"\n")


@functools.cache
def logs() -> tuple[list[Any], list[Any]]:
    """Return the log queues and the log streams of the worker."""
    from gworkers.logs.queue import LogQueue
    from gworkers.logs.stream import LogStream

    objects = gc.get_objects()
    return ([each for each in objects if type(each) is LogQueue], [each for each in objects if type(each) is LogStream])


def wait_for_log_lines() -> None:
    """Wait until all log lines so far are written, for at most 5 s."""
    queues, streams = logs()
    end = time.monotonic() + 5
    while time.monotonic() < end and (
            any(queue.pending for queue in queues) or any(stream.has_pending for stream in streams)):
        time.sleep(0.001)


def wait_at(name: str, limit: float = 15.0) -> None:
    """Wait for a request to /open?name."""
    if not gates[name].wait(limit):
        raise TimeoutError(f"no request has opened {name}")


def answer(start_response: Callable[..., Any], body: bytes = b"ok", status: str = "200 OK") -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def route_by_name(namespace: dict[str, Any]) -> App:
    """Return an application that passes a request for /name to the function ``name`` in *namespace*.

    /open?name opens a gate, /say?word writes a line after all pending log lines.
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
