"""A raw HTTP/1 client: bytes go out in the pieces that a test chooses, and answers are read strictly.

Nothing waits without a limit: what does not happen within the client's timeout fails the test.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) (\d{3})(?: ([ \t\x21-\x7e\x80-\xff]*))?")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ \t\x21-\x7e\x80-\xff]*?)[ \t]*")


@dataclass
class Response:
    """One answer, exactly as it was framed.

    ``framing`` is "length", "chunked", "close" or "none"; ``interim`` holds the 1xx answers before this
    one; ``head`` is the head's raw bytes; ``chunks`` the parts of a chunked body.
    """

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    head: bytes
    framing: str = "none"
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Each value of a header field, in order."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of a field that may be there once at most."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")

    @property
    def closes(self) -> bool:
        """Whether the head says that the connection ends with this answer."""
        return (self.header("connection") or "").lower() == "close"


class ClosedError(AssertionError):
    """The server closed the connection before the answer was complete."""


class Client:
    """One connection. The fixtures close those that a server's ``connect`` made."""

    def __init__(self, sock: socket.socket, timeout: float = 10.0) -> None:
        #: a socket, or what stands for one
        self.sock: Any = sock
        self.timeout = timeout
        self.buffer = b""
        sock.settimeout(timeout)

    @classmethod
    def connect(cls, address: tuple[str, int] | str, timeout: float = 10.0) -> Client:
        """To ``(host, port)`` or to the path of a Unix socket."""
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            try:
                sock.connect(address)
            except OSError:
                sock.close()
                raise
        else:
            sock = socket.create_connection(address, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock, timeout)

    # Out

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send each piece once the server has read the one before it, where the system can tell."""
        for number, piece in enumerate(pieces):
            if number:
                self.wait_until_read()
            self.send(piece)

    def wait_until_read(self, limit: float = 0.2) -> bool:
        """Wait until the server has taken all that was sent from its socket; False after ``limit`` seconds.

        A server need not read what it does not need yet, so this never fails.
        """
        deadline = time.monotonic() + limit
        while unread(self.sock):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0002)
        return True

    def request(self, target: str = "/", *, method: str = "GET", version: str = "1.1",
                headers: Sequence[str] = (), body: bytes | None = None) -> Response:
        """Send one request and receive its answer."""
        self.send(request(target, method=method, version=version, headers=headers, body=body))
        return self.receive(method)

    def half_close(self) -> None:
        """Say that nothing more is sent, and go on listening."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave at once; over TCP with a reset."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    # In

    def receive_once(self, size: int = 65536) -> bytes:
        """What a single ``recv`` brings; b"" at the end."""
        if self.buffer:
            data, self.buffer = self.buffer[:size], self.buffer[size:]
            return data
        try:
            return self.sock.recv(size)
        except socket.timeout:
            raise AssertionError(f"nothing came in {self.timeout} s") from None

    def read_to_end(self) -> bytes:
        """All until the server closes; a reset after some of it counts as the end of it."""
        data = bytearray()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                part = self.receive_once()
                if not part:
                    break
                data += part
        return bytes(data)

    def expect_close(self) -> None:
        """The server closes without another byte."""
        data = self.read_to_end()
        assert data == b"", f"more came before the end: {data[:500]!r}"

    def receive(self, method: str = "GET") -> Response:
        """Exactly one answer to a request of that method; what follows it stays for the next call.

        Raises:
            ClosedError: the connection ended first.
        """
        interim = []
        while True:
            response = self._head()
            if not 100 <= response.status < 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        self._body(response, method)
        return response

    def expect_continue(self) -> None:
        """A single 100 (Continue), and nothing else yet."""
        response = self._head()
        assert response.status == 100, f"not 100: {response.head!r}"
        assert self.buffer == b"", f"more came with the 100: {self.buffer!r}"

    def _fill(self) -> None:
        held = self.buffer
        self.buffer = b""
        try:
            data = self.receive_once()
        except AssertionError as error:
            raise AssertionError(f"{error}; before that: {held[:500]!r}") from None
        except ConnectionError as error:
            raise ClosedError(f"{error!r} after {held[:500]!r}") from error
        if not data:
            raise ClosedError(f"the connection ended after {held[:500]!r}")
        self.buffer = held + data

    def _line(self) -> bytes:
        while b"\n" not in self.buffer:
            self._fill()
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), f"a bare LF ends {line!r}"
        return line[:-1]

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        parts, missing = [], size
        while missing:
            if not self.buffer:
                self._fill()
            part, self.buffer = self.buffer[:missing], self.buffer[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _fields(self) -> list[tuple[str, str]]:
        fields: list[tuple[str, str]] = []
        while True:
            line = self._line()
            if not line:
                return fields
            match = FIELD_LINE.fullmatch(line)
            assert match, f"no header field: {line!r}"
            fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))

    def _head(self) -> Response:
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head = self.buffer[:self.buffer.index(b"\r\n\r\n") + 4]
        line = self._line()
        match = STATUS_LINE.fullmatch(line)
        assert match, f"no status line: {line!r}"
        reason = (match[3] or b"").decode("latin-1")
        return Response(version=match[1].decode(), status=int(match[2]), reason=reason,
                        headers=self._fields(), head=head)

    def _body(self, response: Response, method: str) -> None:
        coding, length = response.header("transfer-encoding"), response.header("content-length")
        assert coding is None or length is None, f"two framings: {response.head!r}"
        if method == "HEAD" or response.status in (101, 204, 304):
            return
        if coding is not None:
            assert coding.lower() == "chunked", f"unknown coding {coding!r}"
            response.framing = "chunked"
            self._chunks(response)
        elif length is not None:
            assert re.fullmatch(r"\d+", length), f"Content-Length {length!r}"
            response.framing = "length"
            response.body = self.read(int(length))
        else:
            response.framing = "close"
            response.body = self.read_to_end()

    def _chunks(self, response: Response) -> None:
        while True:
            line = self._line()
            assert re.fullmatch(rb"[0-9a-fA-F]+", line), f"chunk size {line!r}"
            size = int(line, 16)
            if not size:
                break
            response.chunks.append(self.read(size))
            ending = self._line()
            assert ending == b"", f"a chunk of {size} goes on with {ending!r}"
        response.trailers = self._fields()
        response.body = b"".join(response.chunks)


def request(target: str = "/", *, method: str = "GET", version: str = "1.1", headers: Sequence[str] = (),
            body: bytes | None = None) -> bytes:
    """The bytes of a request; a body brings its Content-Length with it unless a header frames it."""
    lines = [f"{method} {target} HTTP/{version}"]
    if not any(line.lower().startswith("host:") for line in headers):
        lines.append("Host: test")
    lines += headers
    framed = any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers)
    if body is not None and not framed:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(*parts: bytes, trailers: Sequence[str] = ()) -> bytes:
    """A chunked body of these parts."""
    head = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head + b"0\r\n" + b"".join(line.encode("latin-1") + b"\r\n" for line in trailers) + b"\r\n"


def unread(sock: socket.socket) -> bool:
    """Whether the peer has yet to read what we sent; False where nothing can tell."""
    if not sys.platform.startswith("linux"):
        return False
    if sock.family == socket.AF_UNIX:
        return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0] > 0
    here, there = (_endpoint(*name[:2]) for name in (sock.getsockname(), sock.getpeername()))
    with Path("/proc/net/tcp").open() as table:
        for row in table:
            columns = row.split()
            if columns[1] == there and columns[2] == here:
                return columns[4].partition(":")[2] != "00000000"
    return False


def _endpoint(host: str, port: int) -> str:
    """As /proc/net/tcp writes it."""
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
