"""Facts about the process that serves, and work that takes as long as the test requires."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Query = dict[str, str]

running = 0
most = 0


def process(_: Query) -> object:
    """Return facts about the process."""
    return {"pid": os.getpid(), "parent": os.getppid(), "uid": os.getuid(), "gid": os.getgid(),
            "groups": sorted(os.getgroups()), "cwd": os.getcwd(), "path": sys.path}


def variable(query: Query) -> object:
    """Return the value of an environment variable."""
    return os.environ.get(query["name"])


def hold(query: Query) -> object:
    """Wait until the file exists. Return the maximum number of concurrent calls."""
    global running, most
    running += 1
    most = max(most, running)
    Path(query["file"] + ".waits").touch()
    deadline = time.monotonic() + 20
    while not os.path.exists(query["file"]) and time.monotonic() < deadline:
        time.sleep(0.01)
    running -= 1
    return {"pid": os.getpid(), "most": most}


def spin(query: Query) -> object:
    """Block the hub for some seconds of CPU time."""
    deadline = time.monotonic() + float(query["seconds"])
    while time.monotonic() < deadline:
        pass
    return os.getpid()


def say(query: Query) -> object:
    """Print to stdout and to stderr."""
    print(query["out"], flush=True)  # noqa: T201
    print(query["err"], file=sys.stderr, flush=True)  # noqa: T201
    return None


def touch(query: Query) -> object:
    """Create a file, with the permissions that the umask allows."""
    os.close(os.open(query["file"], os.O_CREAT | os.O_WRONLY, 0o666))
    return None


def boom(_: Query) -> object:
    raise ValueError("asked for")


WORK: dict[str, Callable[[Query], object]] = {
    "/": process, "/variable": variable, "/hold": hold, "/spin": spin, "/say": say, "/touch": touch, "/boom": boom,
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the result of ``WORK`` as JSON. ``/stream`` streams parts, ``/file`` sends a file."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path = environ["PATH_INFO"]
    if path == "/file":
        file = open(query["file"], "rb")  # noqa: SIM115
        start_response("200 OK", [("Content-Length", str(os.fstat(file.fileno()).st_size))])
        return environ["wsgi.file_wrapper"](file)
    if path == "/stream":
        start_response("200 OK", [])
        return (b"x" * 65536 for _ in range(int(query["parts"])))
    if path == "/hints":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        start_response("200 OK", [("Content-Length", "0")])
        return []
    if path == "/upload":
        size = 0
        while data := environ["wsgi.input"].read(65536):
            size += len(data)
        answer = json.dumps(size).encode()
    else:
        answer = json.dumps(WORK[path](query)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
