"""An application with background functions. They write lines that the test reads."""

from __future__ import annotations

import contextvars
import os
import threading
import time
from functools import partial

from app_support import answer, route_by_name, say, wait_at

from gworkers import background

user = contextvars.ContextVar("user", default="nobody")


def report(what):
    say(f"{what} in {os.getpid()} at {time.monotonic():.3f}")


def spawn(environ, start_response):
    """Set a context variable, start a function, and report when the response begins."""
    user.set(environ["QUERY_STRING"])
    background.spawn(report_user, environ["QUERY_STRING"], suffix="!")
    report("request")
    return answer(start_response)


def report_user(name, suffix):
    report(f"spawned {user.get()} {name}{suffix}")


def spawn_waiting(environ, start_response):
    background.spawn(wait_and_report, environ["QUERY_STRING"])
    return answer(start_response)


def wait_and_report(gate):
    report(f"waiting {gate}")
    wait_at(gate)
    report(f"passed {gate}")


def spawn_failing(environ, start_response):
    background.spawn(fail, environ["QUERY_STRING"])
    return answer(start_response)


def fail(kind):
    raise {"exception": LookupError, "exit": SystemExit, "base": BaseException}[kind]("deliberate")


def fail_after_spawn(environ, start_response):
    background.spawn(report, "spawned by a failing request")
    raise LookupError("deliberate")


def spawn_in_thread(environ, start_response):
    """Call spawn in a greenlet that the request has started. It starts at once."""
    thread = threading.Thread(target=partial(background.spawn, report, "spawned in a thread"))
    thread.start()
    thread.join()
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def spawn_in_a_fork(environ, start_response):
    pid = os.fork()
    if not pid:
        try:
            background.spawn(report, "spawned in a fork")
        except RuntimeError as error:
            say(f"refused: {error}")
        os._exit(0)
    os.waitpid(pid, 0)
    return answer(start_response)


app = route_by_name(globals())
