"""A request that does several things at once, with nothing but the standard library and gworkers.

It starts a task and joins it, streams while it sleeps, looks up several host names at the same time, and leaves a task
behind that runs after the response. uWSGI comes with such an example for its gevent engine; this one is written for
both hubs: the worker has patched ``threading``, ``time`` and ``socket``, so threads are greenlets and waits are
cooperative.

The host names are those of this machine. Put others in their place if it has access to a network.
"""
from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from threading import Thread
from typing import Any, Callable

from gworkers import background

#: Seconds that the response pauses, and seconds that the task takes that is left behind.
PAUSE, LEFT_BEHIND = 3.0, 2.0
HOSTS = ("localhost", "127.0.0.1", "::1", socket.gethostname())


class Task(Thread):
    """A function that runs while the request goes on. Its result is there after :meth:`join`."""

    def __init__(self, function: Callable[..., str], *args: Any) -> None:
        super().__init__(daemon=True)
        self._function, self._args = function, args
        self.result = ""

    def run(self) -> None:
        """Call the function. ``start`` makes a greenlet for this, because the worker has patched threads."""
        self.result = self._function(*self._args)


def count_to_a_million() -> str:
    """Compute a little. A task that computes must let others run now and then."""
    total = 0
    for number in range(1_000_000):
        if number % 100_000 == 0:
            time.sleep(0)
        total += number
    return f"the sum is {total}"


def look_up(host: str) -> str:
    """Return the addresses of *host*. Other requests are served meanwhile."""
    try:
        return ", ".join(sorted({str(found[4][0]) for found in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)}))
    except OSError as error:
        return f"no address ({error})"


def clean_up(started: float) -> None:
    """Run after the response. The worker waits for it when it stops, up to ``graceful_timeout``."""
    time.sleep(LEFT_BEHIND)
    print(f"the task in worker {os.getpid()} ends {time.monotonic() - started:.1f} s after its request has begun",
          file=sys.stderr, flush=True)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The WSGI application. It streams, so a client sees each line when it is written."""
    started = time.monotonic()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])

    def line(text: str) -> bytes:
        return f"{time.monotonic() - started:.1f} s: {text}\n".encode()

    def stream() -> Iterator[bytes]:
        task = Task(count_to_a_million)
        task.start()
        yield line(f"sleep for {PAUSE:g} s")
        time.sleep(PAUSE)
        task.join()
        yield line(task.result)

        lookups = {host: Task(look_up, host) for host in HOSTS}
        for lookup in lookups.values():
            lookup.start()
        for host, lookup in lookups.items():
            lookup.join()
            yield line(f"{host}: {lookup.result}")

        background.spawn(clean_up, started)
        yield line("a task is left behind")

    return stream()
