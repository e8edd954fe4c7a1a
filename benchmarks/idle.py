"""Many open connections without requests."""

from __future__ import annotations

import resource
import socket

REQUEST = b"GET / HTTP/1.1\r\nHost: benchmark\r\n\r\n"
SPARE = 500
"""Files that a process has open in addition to the connections."""


class TooManyFiles(Exception):
    """The limit of open files is below the number of connections."""


def allow(count: int) -> None:
    """Raise this process's, and so its children's, limit on open files for *count* connections.

    Raises TooManyFiles.
    """
    wanted = count + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        raise TooManyFiles(
            f"{count} connections need {wanted} open files in a process and the limit is {hard}: "
            "raise it (ulimit -Hn as root), or ask for fewer with --connections"
        ) from None


class Idle:
    """A context manager that holds *count* connections, each of which has served one request."""

    def __init__(self, port: int, count: int) -> None:
        self.port = port
        self.count = count
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> Idle:
        try:
            for _ in range(self.count):
                self.sockets.append(self._connect())
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        sock.sendall(REQUEST)
        sock.recv(4096)
        return sock

    def _close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()

    def answering(self) -> int:
        """How many of them are still served."""
        count = 0
        for sock in self.sockets:
            try:
                sock.sendall(REQUEST)
                count += bool(sock.recv(4096))
            except OSError:
                pass
        return count
