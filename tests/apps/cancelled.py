"""Requests that use a client library until they are cancelled, and what is left of its pool afterwards.

LIBRARY names a class of cancelled_clients.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
import time
import traceback
import uuid
from collections import Counter

import cancelled_clients
from app_support import answer, route_by_name

import gworkers

# SQLAlchemy logs a traceback if it cannot roll back a connection that it then closes.
logging.disable()

client = getattr(cancelled_clients, os.environ["LIBRARY"])()

#: Seconds until a request is cancelled.
SHORTEST, LONGEST = 0.02, 0.4
#: Bytes of a value that does not fit into the buffers of a socket.
MUCH = 1_000_000

count = Counter(cancelled=0, wrong=0, failed=0, ignored=0, commands=0)
#: the functions in which requests were cancelled
places = Counter()
errors = Counter()


def command(kind):
    """Give one command of this kind, and check its result."""
    token = uuid.uuid4().hex
    if kind == "transaction":
        client.write_two_rows(token)
    else:
        sent = token * (MUCH // len(token)) if kind == "much" else token
        if client.echo(sent, random.uniform(0, 0.03)) != sent:
            count["wrong"] += 1
    count["commands"] += 1


def victim(environ, start_response):
    """Give commands until the request is cancelled."""
    kinds = random.choices(("little", "much", "transaction"), k=3)
    limit = random.uniform(SHORTEST, LONGEST)
    end = time.monotonic() + limit + 2
    environ["gworkers.deadline"](limit)
    kind = ""
    try:
        while time.monotonic() < end:
            kind = random.choice(kinds)
            command(kind)
        # The library has swallowed the exception.
        count["ignored"] += 1
    except gworkers.RequestTimeout as error:
        count["cancelled"] += 1
        places[f"{kind}: {place(error)}"] += 1
        raise
    except Exception:
        fail()
    return answer(start_response)


def bystander(environ, start_response):
    """Give one command of each kind. Such requests are never cancelled."""
    try:
        for kind in ("little", "much", "transaction"):
            command(kind)
    except Exception:
        fail()
    return answer(start_response)


def fail():
    count["failed"] += 1
    lines = traceback.format_exc().splitlines()
    errors[lines[-1][:200]] += 1
    if errors[lines[-1][:200]] == 1:
        sys.stderr.write("\n".join(["| " + line for line in lines]) + "\n")


#: What a request was doing, by a part of the name of the innermost function that tells.
PLACES = {
    "pool": ("SimpleQueue", "acquire", "_acquire_restore", "get_connection", "_get_conn", "lend", "wait_for_connection", "_getconn_unchecked"),
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


def state(environ, start_response):
    return answer(start_response, json.dumps({**count, "places": places, "errors": errors}).encode())


def examine(environ, start_response):
    """Examine the pool and the rows after all requests have ended."""
    ready, enough = threading.Semaphore(0), threading.Event()
    lent = []

    def hold():
        try:
            with client.lend():
                ready.release()
                enough.wait(10)
            lent.append(1)
        except Exception:
            fail()
            ready.release()

    threads = [threading.Thread(target=hold) for _ in range(client.size)]
    for thread in threads:
        thread.start()
    for _ in threads:
        ready.acquire(timeout=15)
    enough.set()
    for thread in threads:
        thread.join()
    return answer(start_response, json.dumps({
        **count, "places": places, "errors": errors, "lent": len(lent), "size": client.size,
        "halves": client.half_transactions() if len(lent) == client.size else None,
        "versions": client.versions()}).encode())


app = route_by_name(globals())
