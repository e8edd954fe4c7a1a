"""Log handlers that misbehave, and an application that logs."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import stage


class Raising(logging.Handler):
    """Raises in each emit, which no handleError catches."""

    def emit(self, record):
        raise ValueError("this handler does not work")


class Waiting(logging.Handler):
    """Sends each record to a slow collector: waits cooperatively."""

    def emit(self, record):
        time.sleep(0.05)


class Hanging(logging.Handler):
    """Never returns, and keeps its lock."""

    def emit(self, record):
        threading.Event().wait()


class Cancelling(logging.Handler):
    """Raises what no ``except Exception`` catches."""

    def emit(self, record):
        raise asyncio.CancelledError


HANDLERS = {kind.__name__.lower(): kind for kind in (Raising, Waiting, Hanging, Cancelling)}


def add(name):
    """Return a ``post_worker_init`` that adds such a handler behind Gunicorn's own ones."""

    def post_worker_init(worker):
        for logger in (worker.log.error_log, worker.log.access_log):
            logger.addHandler(HANDLERS[name]())

    return post_worker_init


def cancel(worker, request, environ, response):
    """A ``post_request`` hook."""
    if environ["PATH_INFO"] == "/cancelled":
        raise asyncio.CancelledError


def fail(environ, start_response):
    raise RuntimeError("the application has failed")


def hold_the_lock(environ, start_response):
    """A native thread takes the lock of Gunicorn's handler until there is a request to /release-the-lock."""
    in_a_thread(hold)
    return stage.answer(start_response)


released = []


def hold():
    handler = logging.getLogger("gunicorn.error").handlers[0]
    with handler.lock:
        stage.say("the lock is held")
        while not released:
            native_sleep(0.01)


def release_the_lock(environ, start_response):
    released.append(True)
    return stage.answer(start_response)


def in_a_thread(function):
    if "gevent" in sys.modules:
        import gevent

        gevent.get_hub().threadpool.spawn(function)
    else:
        from eventlet import patcher

        patcher.original("threading").Thread(target=function, daemon=True).start()


def native_sleep(seconds):
    if "gevent" in sys.modules:
        from gevent.monkey import get_original

        get_original("time", "sleep")(seconds)
    else:
        from eventlet import patcher

        patcher.original("time").sleep(seconds)


def wait_a_while(environ, start_response):
    """For longer than the server's ``timeout``."""
    time.sleep(4)
    return stage.answer(start_response)


def shorten_intervals(worker):
    """A ``post_worker_init``: a lower limit, which a slow machine reaches too, in a shorter interval."""
    import gworkers.logs.invalid_request_log

    gworkers.logs.invalid_request_log.LINES = 10
    gworkers.logs.invalid_request_log.INTERVAL = 3.0


app = stage.stage(globals())
