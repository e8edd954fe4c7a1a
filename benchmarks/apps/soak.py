"""The application of the soak: short responses, bodies, streams, a large response, failing WebSockets, and counters."""

import gc
import json
import os
import time

from flask import Flask
from flask_sock import Sock
from greenlet import greenlet

PID = b"%d " % os.getpid()
FILLER = b"x" * 1024
LARGE = b"x" * 65536
PARTS, PAUSE = 5, 0.01

flask_app = Flask(__name__)
sock = Sock(flask_app)


@sock.route("/ws/json")
def parse(ws):
    while True:
        ws.send(json.loads(ws.receive())["name"])


def token(environ, start_response):
    """The worker's process id, the query and a kilobyte."""
    return answer(start_response, PID + environ["QUERY_STRING"].encode() + FILLER)


def echo(environ, start_response):
    return answer(start_response, PID + environ["wsgi.input"].read())


def stream(environ, start_response):
    """The same as ``token`` in chunks, with a pause before each."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    query = environ["QUERY_STRING"].encode()

    def parts():
        yield PID
        for _ in range(PARTS):
            time.sleep(PAUSE)
            yield query

    return parts()


def large(environ, start_response):
    """16 MiB."""
    start_response("200 OK", [("Content-Length", str(256 * len(LARGE)))])
    return (LARGE for _ in range(256))


def inside(environ, start_response):
    """How many greenlets live, connections are open, and closed connections have not been freed.

    If the query names its process id, only that: the caller has the rest already.
    """
    if str(os.getpid()) in environ["QUERY_STRING"].split(","):
        return answer(start_response, json.dumps({"pid": os.getpid()}).encode())
    found = {"pid": os.getpid(), "greenlets": 0, "connections": 0, "closed": 0}
    for each in gc.get_objects():
        kind = type(each)
        if issubclass(kind, greenlet):
            found["greenlets"] += not each.dead
        elif kind.__name__ == "Connection" and kind.__module__.startswith("gworkers."):
            found["connections" if each.sock.fileno() >= 0 else "closed"] += 1
    return answer(start_response, json.dumps(found).encode())


def answer(start_response, body):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


PATHS = {"/": token, "/token": token, "/echo": echo, "/stream": stream, "/large": large, "/inside": inside}


def app(environ, start_response):
    return PATHS.get(environ["PATH_INFO"], flask_app)(environ, start_response)
