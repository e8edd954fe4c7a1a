"""An application that makes hub callbacks of gworkers fail on demand.

``post_worker_init = install`` in the configuration prepares the worker. A request to
``/arm?callback=NAME&kind=KIND&when=WHEN`` makes the callback of that name raise an exception at its next
call. KIND is a key of :data:`KINDS`, WHEN is ``before`` or ``after`` its work.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pkgutil
import sys
import threading
import time
from functools import wraps
from urllib.parse import parse_qsl

import app_support

import gworkers
from gworkers import background
from gworkers.hubs.guard import hub_callback


class Fault(BaseException):
    """An exception that ``except Exception`` does not catch."""


def fail_for_memory():
    raise MemoryError("injected")


def fail_beyond_exception():
    raise Fault("injected")


def wait_cooperatively():
    """Call the patched sleep. In the hub this raises an error of the library."""
    time.sleep(0.001)
    raise AssertionError("the hub has waited")


KINDS = {"memory": fail_for_memory, "base": fail_beyond_exception, "wait": wait_cooperatively}

armed = {}
fired = []
#: names of the callbacks that were given to the hub, and of those without a guard
given, unguarded = set(), set()
guarded = set()


def faulty(name, method):
    @wraps(method)
    def call(self, *args):
        fail(name, "before")
        method(self, *args)
        fail(name, "after")

    return hub_callback(call)


def fail(name, when):
    kind = armed.pop((name, when), None)
    if kind is not None:
        fired.append(name)
        KINDS[kind]()


def modules():
    for module in pkgutil.walk_packages(gworkers.__path__, "gworkers."):
        # The library of the other hub may be missing.
        if not module.name.startswith(("gworkers.hubs.", "gworkers.__main__")):
            yield importlib.import_module(module.name)


def make_callbacks_faulty():
    for module in modules():
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                for name, member in list(vars(kind).items()):
                    if hasattr(member, "is_hub_callback"):
                        guarded.add(member.__qualname__)
                        setattr(kind, name, faulty(member.__qualname__, member.__wrapped__))


def note(callback):
    name = getattr(callback, "__qualname__", repr(callback))
    given.add(name)
    if not hasattr(callback, "is_hub_callback"):
        unguarded.add(name)


class NotedWatcher:
    """A watcher that records its callback."""

    def __init__(self, watcher):
        self.watcher = watcher

    def start(self, callback):
        note(callback)
        self.watcher.start(callback)

    def stop(self):
        self.watcher.stop()

    @property
    def active(self):
        return self.watcher.active


def note_callbacks(hub):
    def noting(method):
        def call(first, *args):
            note(first if callable(first) else args[0])
            return method(first, *args)
        return call

    hub.call_soon, hub.call_later = noting(hub.call_soon), noting(hub.call_later)
    read, write = hub.watch_read, hub.watch_write
    hub.watch_read, hub.watch_write = lambda fd: NotedWatcher(read(fd)), lambda fd: NotedWatcher(write(fd))


def install(worker):
    """Prepare a worker before it serves."""
    make_callbacks_faulty()
    note_callbacks(worker.hub)
    for module, name in (("serving.server", "TRIM_INTERVAL"), ("watch.watchdog", "BEAT"),
                         ("logs.invalid_request_log", "INTERVAL"), ("serving.listener", "BACKOFF")):
        setattr(sys.modules[f"gworkers.{module}"], name, 0.1)
    globals()["worker"] = worker


@background.timer(3600)
def never():
    """Let the scheduler run."""


def run_background(environ, start_response):
    """Cause calls of the callbacks of the scheduler, and of those that start a function."""
    worker.scheduler.recover()  # noqa: F821
    done = threading.Event()
    background.spawn(done.set)
    threading.Thread(target=background.spawn, args=(done.set,)).start()
    done.wait(5)
    return app_support.answer(start_response)


async def wait_in_the_loop():
    await asyncio.sleep(0)


def run_coroutine(environ, start_response):
    """Let the thread of the loop call a function in the hub."""
    gworkers.run_async(wait_in_the_loop())
    return app_support.answer(start_response)


def arm(environ, start_response):
    words = dict(parse_qsl(environ["QUERY_STRING"]))
    fired.clear()
    armed[words["callback"], words["when"]] = words["kind"]
    return app_support.answer(start_response)


def state(environ, start_response):
    told = {"guarded": sorted(guarded), "given": sorted(given), "unguarded": sorted(unguarded), "fired": fired,
            "connections": worker.server.connection_count,  # noqa: F821
            "descriptors": len(os.listdir("/proc/self/fd"))}
    return app_support.answer(start_response, json.dumps(told).encode())


def large(environ, start_response):
    return app_support.answer(start_response, bytes(4 * 1024 * 1024))


def medium(environ, start_response):
    return app_support.answer(start_response, bytes(30 * 1024))


def wait(environ, start_response):
    app_support.wait_at(environ["QUERY_STRING"])
    return app_support.answer(start_response)


def wait_for_client(environ, start_response):
    environ["gworkers.deadline"](5)
    environ["gworkers.wait_client_gone"](0.1)
    return app_support.answer(start_response)


def leave_a_reader(environ, start_response):
    """Leave a greenlet that reads the body after the request."""
    body = environ["wsgi.input"]

    def read():
        try:
            body.read()
        except (OSError, RuntimeError):
            app_support.say("the reader was stopped")

    threading.Thread(target=read).start()
    time.sleep(0.01)
    return app_support.answer(start_response)


app = app_support.route_by_name(globals())
