"""Applications that pass a file to ``wsgi.file_wrapper``: PEP 3333, "Optional Platform-Specific File Handling"."""

from __future__ import annotations

import errno
import io
import os
import tempfile
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from app_support import route_by_name, say, wait_at

CONTENT = bytes(range(256)) * 4000
PLAIN = ("Content-Type", "application/octet-stream")


class File(io.FileIO):
    """A regular file that logs reads and when it is closed."""

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
    """Return a file with the options in the query: offset, length, status, block."""
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
    """A part of the file was read before, through a buffer that has read more."""
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
    """A file with a descriptor, but without size and position."""
    reader, writer = os.pipe()
    with open(writer, "wb") as sink:
        sink.write(b"through a pipe")
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](open(reader, "rb"))


def plain_reader(environ: Any, start_response: Any) -> Iterable[bytes]:
    """An object that only has read()."""
    parts = [b"one,", b"two", b""]

    class Reader:
        def read(self, size: int) -> bytes:
            return parts.pop(0)

    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](Reader())


def head_written(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Call write() before the file."""
    start_response("200 OK", [PLAIN])(b"before,")
    return environ["wsgi.file_wrapper"](regular(b"the file"))


def huge(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return 20 MiB that take no space on the disk."""
    with tempfile.NamedTemporaryFile() as named:
        named.truncate(20 << 20)
        file = File(named.name)
    start_response("200 OK", [PLAIN, ("Content-Length", str(20 << 20))])
    return environ["wsgi.file_wrapper"](file)


def iterated(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Iterate over the wrapper, which closes its file."""
    wrapper = environ["wsgi.file_wrapper"](regular(CONTENT), 1000)
    start_response("200 OK", [PLAIN])
    try:
        body = b"".join(wrapper)
    finally:
        wrapper.close()
    return [body]


class Reader:
    """A file whose descriptor belongs to another file than its read()."""

    def __init__(self, descriptor: int, content: bytes) -> None:
        self._descriptor = descriptor
        self._content = io.BytesIO(content)
        self.read = self._content.read
        self.tell = self._content.tell

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)
        say("close() was called")


def not_for_sendfile(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A directory, which has a size but cannot be sent by the kernel (EINVAL). read() returns the text in the query."""
    reader = Reader(os.open(tempfile.gettempdir(), os.O_RDONLY), b"r" * int(environ["QUERY_STRING"]))
    start_response("200 OK", [PLAIN, ("Content-Length", environ["QUERY_STRING"])])
    return environ["wsgi.file_wrapper"](reader)


def of_no_size(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A file in /proc, which contains more than its size says."""
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](open("/proc/self/status", "rb"))


def unreadable(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A file that was opened only for writing (EBADF)."""
    with tempfile.NamedTemporaryFile() as named:
        named.write(CONTENT)
        named.flush()
        reader = Reader(os.open(named.name, os.O_WRONLY), CONTENT)
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](reader)


def closed_meanwhile(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Another greenlet closes the file while it is sent to a slow client."""
    with tempfile.NamedTemporaryFile() as named:
        named.truncate(20 << 20)
        file = open(named.name, "rb")  # noqa: SIM115

    def close() -> None:
        wait_at(environ["QUERY_STRING"])
        file.close()

    threading.Thread(target=close).start()
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](file)


class OnBadDisk(Reader):
    """A file that the kernel fails to send, with an error after a number of bytes."""

    def __init__(self, number: int, good: int) -> None:
        super().__init__(os.open(regular_path(), os.O_RDONLY), CONTENT)
        self._sendfile = os.sendfile

        def sendfile(out: int, fd: int, offset: int, count: int) -> int:
            if fd != self.fileno():
                return self._sendfile(out, fd, offset, count)
            if offset == good:
                raise OSError(number, os.strerror(number))
            return self._sendfile(out, fd, offset, min(count, good - offset))

        os.sendfile = sendfile

    def close(self) -> None:
        os.sendfile = self._sendfile
        super().close()


def bad_disk(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return a file that fails with the error and the number of bytes in the query."""
    name, _, good = environ["QUERY_STRING"].partition("&")
    reader = OnBadDisk(getattr(errno, name), int(good))
    start_response("200 OK", [PLAIN])
    return environ["wsgi.file_wrapper"](reader)


app = route_by_name(globals())
