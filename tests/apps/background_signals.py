"""An application that sends and receives signals. Handlers write lines that the test reads."""

from __future__ import annotations

import os
import time

from app_support import answer, route_by_name, say

from gworkers import background


@background.signal("note")
def note(payload):
    say(f"note {payload} in {os.getpid()}")


@background.signal("note", worker="every")
def note_in_every_worker(payload):
    say(f"every {payload} in {os.getpid()}")


@background.signal("note", worker=2)
def note_in_the_second_worker(payload):
    say(f"second {payload} in {os.environ['GWORKERS_NUMBER']}")


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.01)


@background.signal("slow")
def slow(path):
    name = os.path.basename(path)
    say(f"slow {name} begins in {os.getpid()}")
    wait_for_file(path)
    say(f"slow {name} ends")


@background.signal("overlapping", overlap=True)
def overlapping(path):
    say(f"overlapping {os.path.basename(path)} begins")
    wait_for_file(path)


@background.signal("failing")
def failing(payload):
    raise LookupError(f"deliberate {payload}")


def send(environ, start_response):
    """Send the signal ``name=payload`` of the query string."""
    name, _, payload = environ["QUERY_STRING"].partition("=")
    try:
        background.send(name, payload)
    except (ValueError, background.SendError) as error:
        return answer(start_response, str(error).encode(), "409 Conflict")
    return answer(start_response)


def send_in_a_fork(environ, start_response):
    """Send a signal in a forked process."""
    pid = os.fork()
    if not pid:
        try:
            background.send("note", environ["QUERY_STRING"])
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return answer(start_response)


def fill(environ, start_response):
    """Send large payloads to a handler until there is no room."""
    count = 0
    try:
        while count < 100:
            background.send("slow", "/missing/" + "x" * 60_000)
            count += 1
    except background.SendError as error:
        return answer(start_response, f"{count} {error}".encode())
    return answer(start_response, b"no error")


app = route_by_name(globals())
