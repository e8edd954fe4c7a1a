"""Applications that hand a file to ``wsgi.file_wrapper``: PEP 3333, "Optional Platform-Specific File Handling"."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from stage import say, stage

CONTENT = bytes(range(256)) * 4000
PLAIN = ("Content-Type", "application/octet-stream")


class File(io.FileIO):
    """A regular file; a test sees in the log who reads it and when it is closed."""

    def read(self, size: int = -1) -> bytes:
        say("read() was called")
        return super().read(size)

    def close(self) -> None:
        if not self.closed:
            say("close() was called")
        super().close()


def regular(content: bytes) -> File:
    number, path = tempfile.mkstemp()
    with open(number, "wb") as writer:
        writer.write(content)
    file = File(path)
    os.unlink(path)
    return file


def respond(environ: Any, start_response: Any, file: Any) -> Iterable[bytes]:
    """Options in the query: offset, length, status, block."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    file.seek(int(query.get("offset", 0)))
    headers = [PLAIN]
    if "length" in query:
        headers.append(("Content-Length", query["length"]))
    start_response(query.get("status", "200 OK"), headers)
    if "block" in query:
        return environ["wsgi.file_wrapper"](file, int(query["block"]))
    return environ["wsgi.file_wrapper"](file)


def real(environ: Any, start_response: Any) -> Iterable[bytes]:
    return respond(environ, start_response, regular(CONTENT))


def empty(environ: Any, start_response: Any) -> Iterable[bytes]:
    return respond(environ, start_response, regular(b""))


def memory(environ: Any, start_response: Any) -> Iterable[bytes]:
    return respond(environ, start_response, io.BytesIO(CONTENT))


def buffered(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Some of it was read before, through a buffer that holds more than that."""
    file = open(regular_path(), "rb")  # noqa: SIM115
    assert file.read(10) == CONTENT[:10]
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](file)


def regular_path() -> str:
    path = os.path.join(tempfile.gettempdir(), f"gworkers-{os.getpid()}")
    with open(path, "wb") as writer:
        writer.write(CONTENT)
    return path


def pipe(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Has a descriptor, but no size and no place."""
    reader, writer = os.pipe()
    with open(writer, "wb") as sink:
        sink.write(b"through a pipe")
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](open(reader, "rb"))


def plain_reader(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Nothing but read()."""
    parts = [b"one,", b"two", b""]

    class Reader:
        def read(self, size: int) -> bytes:
            return parts.pop(0)

    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](Reader())


def head_written(environ: Any, start_response: Any) -> Iterable[bytes]:
    """write() before the file."""
    start_response("200 OK", [PLAIN])(b"before,")
    return environ["wsgi.file_wrapper"](regular(b"the file"))


def huge(environ: Any, start_response: Any) -> Iterable[bytes]:
    """20 MiB that take no disk."""
    with tempfile.NamedTemporaryFile() as named:
        named.truncate(20 << 20)
        file = File(named.name)
    start_response("200 OK", [PLAIN, ("Content-Length", str(20 << 20))])
    return environ["wsgi.file_wrapper"](file)


def iterated(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The wrapper is an iterable too, and closes its file."""
    wrapper = environ["wsgi.file_wrapper"](regular(CONTENT), 1000)
    start_response("200 OK", [PLAIN])
    try:
        body = b"".join(wrapper)
    finally:
        wrapper.close()
    return [body]


app = stage(globals())
