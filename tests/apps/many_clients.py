"""Applications for many concurrent clients: they stream, wait, count and block the hub."""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

from app_support import answer, gates, route_by_name, say, wait_at

order: list[str] = []


def count(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Append the name in the query to the list of served requests."""
    order.append(environ["QUERY_STRING"])
    return answer(start_response)


def counted(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = json.dumps(order).encode()
    order.clear()
    return answer(start_response, body)


def hold_the_hub(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Block the hub until the file exists that the query names."""
    say("holding the hub")
    until = time.monotonic() + 10
    while not os.path.exists(environ["QUERY_STRING"]) and time.monotonic() < until:
        pass
    order.append("held")
    return answer(start_response)


def compute(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Block the hub for longer than a time slice."""
    until = time.monotonic() + 0.015
    while time.monotonic() < until:
        pass
    order.append("compute")
    return answer(start_response)


def tick(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Record each turn of the hub until the gate is open."""
    say("ticking")
    while not gates[environ["QUERY_STRING"]].is_set():
        order.append("tick")
        time.sleep(0.001)
    return answer(start_response)


def turns(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the longest CPU time between two turns of the hub until the gate is open, for at most 40 seconds."""
    longest, last = 0.0, time.process_time()
    say("taking turns")
    until = time.monotonic() + 40
    while not gates[environ["QUERY_STRING"]].is_set() and time.monotonic() < until:
        time.sleep(0.001)
        now = time.process_time()
        longest, last = max(longest, now - last), now
    return answer(start_response, json.dumps(longest).encode())


def wait(environ: Any, start_response: Any) -> Iterable[bytes]:
    say("waiting")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def wait_for_file(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Wait until the file exists that the query names, without blocking others."""
    say("waiting")
    until = time.monotonic() + 10
    while not os.path.exists(environ["QUERY_STRING"]) and time.monotonic() < until:
        time.sleep(0.01)
    order.append("busy")
    return answer(start_response)


def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Stream parts of the size in the query until the gate is open, for at most half a minute."""
    size, _, gate = environ["QUERY_STRING"].partition("&")
    part = b"x" * int(size)
    start_response("200 OK", [("Content-Type", "text/plain")])
    until = time.monotonic() + 30
    while not gates[gate].is_set() and time.monotonic() < until:
        yield part


def stream_written(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same with write()."""
    size, _, gate = environ["QUERY_STRING"].partition("&")
    part = b"x" * int(size)
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    until = time.monotonic() + 30
    while not gates[gate].is_set() and time.monotonic() < until:
        write(part)
    return []


def read_on(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Read a body in small parts as fast as possible."""
    total = 0
    part = environ["wsgi.input"].read(int(environ["QUERY_STRING"]))
    while part:
        total += len(part)
        part = environ["wsgi.input"].read(int(environ["QUERY_STRING"]))
    return answer(start_response, str(total).encode())


def megabytes(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Stream the number of megabytes in the query, and log the end in any case."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for _ in range(16 * int(environ["QUERY_STRING"])):
            yield b"x" * 65536
    finally:
        say("no more megabytes")


def part(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the number of megabytes in the query in one part."""
    return answer(start_response, b"x" * (int(environ["QUERY_STRING"]) << 20))


class File(io.FileIO):
    """A file that logs when it is closed."""

    def close(self) -> None:
        if not self.closed:
            say("no more megabytes")
        super().close()


def file(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return a file of the number of megabytes in the query."""
    size = int(environ["QUERY_STRING"]) << 20
    with tempfile.NamedTemporaryFile() as named:
        named.truncate(size)
        reader = File(named.name)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return environ["wsgi.file_wrapper"](reader)


def small_send_buffer(environ: Any, start_response: Any) -> Iterable[bytes]:
    """30,000 bytes, of which the kernel takes some kilobytes at once."""
    environ["gunicorn.socket"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    return answer(start_response, b"x" * 30000)


def received(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the size of the body, and log an error of reading."""
    try:
        return answer(start_response, str(len(environ["wsgi.input"].read(-1))).encode())
    except OSError as error:
        say(f"body failed: {type(error).__name__} is a TimeoutError: {isinstance(error, TimeoutError)}")
        raise


def usage(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the seconds of CPU time and of the clock."""
    return answer(start_response, json.dumps([time.process_time(), time.monotonic()]).encode())


app = route_by_name(globals())
