"""Faulty log handlers, and an application that logs."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import app_support


class Raising(logging.Handler):
    """Raises an exception in emit(), which handleError() does not catch."""

    def emit(self, record):
        raise ValueError("this handler does not work")


class Waiting(logging.Handler):
    """Waits cooperatively, like a handler that sends records to a slow collector."""

    def emit(self, record):
        time.sleep(0.05)


class Hanging(logging.Handler):
    """Never returns, and holds its lock."""

    def emit(self, record):
        threading.Event().wait()


class Cancelling(logging.Handler):
    """Raises an exception that ``except Exception`` does not catch."""

    def emit(self, record):
        raise asyncio.CancelledError


HANDLERS = {kind.__name__.lower(): kind for kind in (Raising, Waiting, Hanging, Cancelling)}


def add(name):
    """Return a ``post_worker_init`` hook that adds the handler *name* after Gunicorn's handlers."""

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
    """Let a native thread hold the lock of Gunicorn's handler until a request to /release-the-lock."""
    in_a_thread(hold)
    return app_support.answer(start_response)


released = []


def hold():
    handler = logging.getLogger("gunicorn.error").handlers[0]
    with handler.lock:
        app_support.say("the lock is held")
        while not released:
            native_sleep(0.01)


def release_the_lock(environ, start_response):
    released.append(True)
    return app_support.answer(start_response)


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
    """Wait longer than the setting ``timeout`` of the server."""
    time.sleep(4)
    return app_support.answer(start_response)


def shorten_intervals(worker):
    """A ``post_worker_init`` hook that sets a lower limit and a shorter interval, for slow machines."""
    import gworkers.logs.invalid_request_log

    gworkers.logs.invalid_request_log.LINES = 10
    gworkers.logs.invalid_request_log.INTERVAL = 3.0


app = app_support.route_by_name(globals())
