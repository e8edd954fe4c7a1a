"""Uses objects from before the patch in requests that wait for each other."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import made_early
from app_support import answer, say

condition = made_early.Condition()
event, queue = made_early.Event(), made_early.Queue()
leaving = threading.Event()
made_early.lock.acquire()


def wait_for_condition() -> bool:
    with condition:
        return condition.wait(10)


def notify() -> None:
    with condition:
        condition.notify()


#: Functions to wait for each object, and to end the wait.
WAITS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "barrier": (lambda: made_early.barrier.wait() in (0, 1), made_early.barrier.wait),
    "condition": (wait_for_condition, notify),
    "event": (made_early.event.wait, made_early.event.set),
    "event_class": (event.wait, event.set),
    "lock": (made_early.lock.acquire, made_early.lock.release),
    "queue": (made_early.queue.get, lambda: made_early.queue.put(True)),
    "queue_class": (queue.get, lambda: queue.put(True)),
    "semaphore": (made_early.semaphore.acquire, made_early.semaphore.release),
    "simple_queue": (made_early.simple_queue.get, lambda: made_early.simple_queue.put(True)),
}


def wait(what: str) -> object:
    say(f"waiting for {what}")
    return WAITS[what][0]()


def end(what: str) -> object:
    return WAITS[what][1]()


def store(value: str) -> object:
    before = getattr(made_early.local, "value", None)
    made_early.local.value = value
    return before


def identify(last: str) -> object:
    if last:
        leaving.set()
    say("identified")
    assert leaving.wait(10)
    return made_early.get_ident()


def enter(_: str) -> object:
    with made_early.reentrant:
        say("entered")
        return leaving.wait(10)


def attempt(_: str) -> object:
    if not made_early.reentrant.acquire(blocking=False):
        return False
    made_early.reentrant.release()
    return True


def leave(_: str) -> object:
    return leaving.set()


def connect(_: str) -> object:
    """Create a TLS context like a client."""
    context = made_early.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    except RecursionError as error:
        return type(error).__name__
    return context


ROUTES = {"/connect": connect, "/wait": wait, "/end": end, "/store": store, "/identify": identify, "/enter": enter,
          "/try": attempt, "/leave": leave}


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    return answer(start_response, str(ROUTES[environ["PATH_INFO"]](environ["QUERY_STRING"])).encode())
