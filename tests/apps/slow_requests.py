"""Requests that wait in different ways, and what remains of them when their time is over."""

from __future__ import annotations

import contextvars
import queue
import socket
import threading
import time

import app_support
from app_support import answer, route_by_name, say

import gworkers

variable = contextvars.ContextVar("variable", default="unset")
local = threading.local()
lock = threading.Lock()
lock.acquire()


def in_a_sleep():
    time.sleep(20)


def in_a_socket():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)


def in_a_lock():
    lock.acquire()


def in_a_queue():
    queue.Queue().get()


def catching_exceptions():
    try:
        time.sleep(20)
    except Exception:
        say("an Exception was caught")


WAITS = {function.__name__: function for function in (in_a_sleep, in_a_socket, in_a_lock, in_a_queue,
                                                      catching_exceptions)}


def wait(environ, start_response):
    """/wait?NAME"""
    variable.set("set by a request")
    local.value = getattr(local, "value", 0) + 1
    try:
        WAITS[environ["QUERY_STRING"]]()
    except BaseException as error:
        say(f"the request has ended with {type(error).__module__}.{type(error).__name__}")
        raise
    finally:
        variable.set("left behind")
    return answer(start_response)


def stream(environ, start_response):
    """Waits between two chunks."""
    def chunks():
        try:
            yield b"first"
            time.sleep(20)
            yield b"second"
        except BaseException as error:
            say(f"the request has ended with {type(error).__module__}.{type(error).__name__}")
            raise

    start_response("200 OK", [])
    return chunks()


def until_opened(environ, start_response):
    """Runs until /open?NAME, then writes what it can."""
    name = environ["QUERY_STRING"]
    app_support.wait_at(name)
    write = start_response("200 OK", [])
    write(b"too late")
    say(f"{name} has written")
    return [b"too late as well"]


def started_until_opened(environ, start_response):
    """Runs until /open?NAME, but begins its response before."""
    name = environ["QUERY_STRING"]
    write = start_response("200 OK", [("Content-Length", "16")])
    app_support.wait_at(name)
    write(b"too late")
    say(f"{name} has written")
    return [b"too late"]


def slow_cleanup(environ, start_response):
    """Runs until /open?NAME after it was cancelled."""
    name = environ["QUERY_STRING"]
    try:
        time.sleep(20)
    finally:
        say(f"{name} cleans up")
        app_support.wait_at(name)
        say(f"{name} is clean")


def short(environ, start_response):
    time.sleep(0.01)
    return answer(start_response, variable.get().encode())


def with_a_deadline(environ, start_response):
    """/with-a-deadline?SECONDS, or none."""
    text = environ["QUERY_STRING"]
    environ["gworkers.deadline"](None if text == "none" else float(text))
    time.sleep(1.5)
    return answer(start_response)


def invalid_deadline(environ, start_response):
    try:
        environ["gworkers.deadline"](-1)
    except ValueError as error:
        return answer(start_response, str(error).encode())


def deadline_in_a_thread(environ, start_response):
    found = []

    def set_it():
        try:
            environ["gworkers.deadline"](1)
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=set_it)
    thread.start()
    thread.join()
    return answer(start_response, found[0].encode())


def poll_client(environ, start_response):
    """Asks until its client has left, or for 20 s."""
    end = time.monotonic() + 20
    while not environ["gworkers.client_gone"] and time.monotonic() < end:
        time.sleep(0.02)
    say(f"the client is gone: {bool(environ['gworkers.client_gone'])}")
    return answer(start_response)


def wait_for_client(environ, start_response):
    """/wait-for-client?SECONDS"""
    say("a request waits for its client to leave")
    gone = environ["gworkers.wait_client_gone"](float(environ["QUERY_STRING"] or 20))
    say(f"the client is gone: {gone}")
    return answer(start_response, str(gone).encode())


def first_part(environ, start_response):
    """/first-part?SECONDS&PART sends a part, waits for its client to leave, and sends PART."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    seconds, _, part = environ["QUERY_STRING"].partition("&")
    say(f"the client is gone: {environ['gworkers.wait_client_gone'](float(seconds))}")
    yield part.encode()


def large_parts(environ, start_response):
    """Sends parts that are larger than the buffers of the kernel."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"1" * 4_000_000, b"2" * 4_000_000])


def exported(environ, start_response):
    names = [gworkers.RequestTimeout.__mro__[1:3], gworkers.ClientGone.__mro__[1:3]]
    return answer(start_response, str([[each.__name__ for each in name] for name in names]).encode())


app = route_by_name(globals())
