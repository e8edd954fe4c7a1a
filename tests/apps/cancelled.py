"""Requests that use a client library until they are cancelled, and what is left of its pool afterwards.

LIBRARY names a class, such as cancelled_http:Requests. COMMANDS are the kinds of commands that requests give.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import random
import threading
import time
import traceback
import uuid
from collections import Counter
from importlib import import_module

from app_support import answer, route_by_name, say

import gworkers

# SQLAlchemy logs a traceback if it cannot roll back a connection that it then closes.
logging.disable()

module, _, name = os.environ["LIBRARY"].partition(":")
client = getattr(import_module(module), name)()

KINDS = os.environ["COMMANDS"].split()
#: Seconds until a request is cancelled.
SHORTEST, LONGEST = 0.02, 0.3
#: Bytes of a value that does not fit into the buffers of a socket.
MUCH = 600_000

#: the requests that were cancelled, those that ran on, replies to other requests, commands that failed, commands, and
#: requests that saw a variable of another one
count = Counter(cancelled=0, ignored=0, wrong=0, failed=0, commands=0, mixed=0)
#: what the requests did when they were cancelled
places = Counter()
errors = Counter()

variable = contextvars.ContextVar("variable", default="")
local = threading.local()


def command(kind):
    """Give one command of this kind, and check its result."""
    token = uuid.uuid4().hex
    variable.set(token)
    local.value = token
    if kind == "transaction":
        client.write_two_rows(token)
    else:
        sent = token * (MUCH // len(token)) if kind == "much" else token
        if client.echo(sent, random.uniform(0, 0.03)) != sent:
            count["wrong"] += 1
    count["commands"] += 1
    count["mixed"] += (variable.get(), local.value) != (token, token)


def victim(environ, start_response):
    """Give commands until the time of the request is over."""
    limit = random.uniform(SHORTEST, LONGEST)
    environ["gworkers.deadline"](limit)
    return give_commands(start_response, limit)


def left(environ, start_response):
    """Give commands until the client leaves, soon after it has sent the request."""
    return give_commands(start_response, LONGEST)


def give_commands(start_response, limit):
    """Give commands until the request is cancelled, in so many seconds and a bit."""
    end = time.monotonic() + limit + 4
    count["mixed"] += variable.get() != ""
    kind = ""
    try:
        while time.monotonic() < end:
            kind = random.choice(KINDS)
            command(kind)
        # The library has swallowed the exception.
        count["ignored"] += 1
    except (gworkers.RequestTimeout, gworkers.ClientGone) as error:
        count["cancelled"] += 1
        places[f"{kind}: {place(error)}"] += 1
        raise
    except Exception:
        fail()
    return answer(start_response)


def bystander(environ, start_response):
    """Give one command of each kind. Such requests are never cancelled."""
    try:
        for kind in KINDS:
            command(kind)
    except Exception:
        fail()
    return answer(start_response)


def fail():
    """A command has failed that was not cancelled."""
    count["failed"] += 1
    line = traceback.format_exc().splitlines()[-1][:120]
    errors[line] += 1
    if errors[line] == 1:
        say("\n".join("| " + each for each in traceback.format_exc().splitlines()))


#: What a request was doing, by a part of the name of the innermost function that tells.
PLACES = {
    "pool": ("SimpleQueue", "acquire", "_acquire_restore", "get_connection", "_get_conn", "lend",
             "wait_for_connection", "_getconn_unchecked"),
    "sending": ("sendall", "send"),
    "reading": ("recv", "recv_into", "_recv_loop", "wait_for_read"),
    "connecting": ("connect", "_connect"),
}


def place(error):
    """Return what the request was doing."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        name, module = frame.f_code.co_name, frame.f_globals["__name__"]
        if (module, name) == ("gworkers.worker.psycopg", "wait"):
            return "sending" if frame.f_locals["state"] == 2 else "reading"
        if (module, name) == ("psycopg.waiting", "wait_selector"):
            return "sending" if frame.f_locals["s"] & 2 else "reading"
        for found, names in PLACES.items():
            if any(name == each or each in name.split(".") for each in names):
                return found
    return "elsewhere: " + " ".join(frame.f_code.co_name for frame in frames[-5:])


def state(environ, start_response, **more):
    return answer(start_response, json.dumps({**count, "places": places, "errors": errors, **more}).encode())


def examine(environ, start_response):
    """Say how many connections the pool lends at the same time, and count the transactions that are half committed."""
    lends, enough, lent = threading.Semaphore(0), threading.Event(), []

    def borrow():
        try:
            with client.lend():
                lent.append(1)
                lends.release()
                enough.wait(20)
        except Exception:
            fail()
            lends.release()

    threads = [threading.Thread(target=borrow) for _ in range(client.size)]
    for thread in threads:
        thread.start()
    for _ in threads:
        # Each client limits how long it waits for a connection.
        lends.acquire()
    enough.set()
    for thread in threads:
        thread.join()
    return state(environ, start_response, versions=client.versions(), lent=len(lent), size=client.size,
                 halves=client.half_transactions() if len(lent) == client.size else None)


app = route_by_name(globals())
