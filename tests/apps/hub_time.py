"""An application whose requests hold the hub for at least 0.2 s, or wait for at least 0.2 s."""

from __future__ import annotations

import threading
import time

import greenlet
from app_support import answer, route_by_name, say, wait_at


def run():
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass


def wait():
    # Not a sleep: gevent counts it from the beginning of the loop's turn.
    other = threading.Thread(target=run)
    other.start()
    other.join()


def runs(environ, start_response):
    run()
    return answer(start_response)


def waits(environ, start_response):
    wait()
    return answer(start_response)


def runs_and_waits(environ, start_response):
    run()
    wait()
    return answer(start_response)


def streams(environ, start_response):
    start_response("200 OK", [])
    yield b"first"
    run()
    yield b"second"
    wait()


def runs_and_waits_at(environ, start_response):
    run()
    return waits_at(environ, start_response)


def waits_at(environ, start_response):
    say("waiting")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def replaces_the_trace_function(environ, start_response):
    greenlet.settrace(None)
    return answer(start_response)


app = route_by_name(globals())
