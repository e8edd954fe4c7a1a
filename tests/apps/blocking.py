"""Requests that block the hub for a number of seconds, each in another way. /wait waits cooperatively.

/start_threads starts a number of threads, which are greenlets because the worker patches them.
"""

from __future__ import annotations

import collections
import ctypes
import os
import sys
import threading
import time

import app_support

releases_lock = ctypes.CDLL(None)
#: PyPy has none.
keeps_lock = getattr(ctypes, "PyDLL", ctypes.CDLL)(None)


def loop_in_python(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def sleep_unpatched(seconds):
    if "gevent" in sys.modules and "gevent.monkey" in sys.modules:
        from gevent.monkey import get_original

        get_original("time", "sleep")(seconds)
    else:
        from eventlet.patcher import original

        original("time").sleep(seconds)


def call_c(seconds):
    releases_lock.usleep(int(seconds * 1e6))


def call_c_with_the_lock(seconds):
    keeps_lock.usleep(int(seconds * 1e6))


def call_c_that_handles_no_signal(count):
    collections.deque(range(int(count)), maxlen=0)


def open_fifo(seconds):
    """Block until the test opens the other end."""
    os.close(os.open("fifo", os.O_RDONLY))


def short_call():
    return sum(range(50))


def make_short_calls(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        short_call()


def start_threads(count):
    for _ in range(int(count)):
        threading.Thread(target=wait_long, daemon=True).start()


def wait_long():
    time.sleep(3600)


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    seconds = float(environ["QUERY_STRING"] or 0)
    if name == "wait":
        time.sleep(seconds)
    elif name:
        globals()[name](seconds)
    return app_support.answer(start_response)
