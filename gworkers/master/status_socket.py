"""The listening socket of the status server. The master binds it, and a second master inherits it."""
from __future__ import annotations

import _socket
import os
import posix
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gworkers.shared_memory import unnamed_file

#: Connections that may wait for the status process.
BACKLOG = 64
#: The variable that tells a second master the file descriptors and the address.
VARIABLE = "GWORKERS_STATUS_SOCKET"


class StatusSocket:
    """A socket that listens, and a file that the status process which serves on it has locked.

    The lock of a process ends with the process.

    :param address: the setting that it was made for
    """

    def __init__(self, address: str, listener: Any, lock: int) -> None:
        self.address = address
        self._listener = listener
        self._lock = lock

    def __str__(self) -> str:
        name = self._listener.getsockname()
        if isinstance(name, tuple):
            return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
        return f"unix:{os.fsdecode(name)}"

    def copies(self) -> list[int]:
        """Return copies of the file descriptors of the socket and of the lock. The caller closes them."""
        return [posix.dup(self._listener.fileno()), posix.dup(self._lock)]

    def close(self) -> None:
        """Close the socket in this process. Closing twice does nothing."""
        if self._lock >= 0:
            self._listener.close()
            posix.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the file of a Unix socket."""
        name = self._listener.getsockname()
        if isinstance(name, str) and name:
            with suppress(OSError):
                os.unlink(name)

    @contextmanager
    def left_to_second_master(self, environ: dict[str, str]) -> Iterator[None]:
        """The context in which a second master starts, whose environment is *environ*. It inherits the socket."""
        fds = self.copies()
        for fd in fds:
            os.set_inheritable(fd, True)
        environ[VARIABLE] = ",".join([*map(str, fds), self.address])
        try:
            yield
        finally:
            environ.pop(VARIABLE, None)
            for fd in fds:
                posix.close(fd)


def inherited() -> StatusSocket | None:
    """Return the socket of the first master, if this is a second master and the first one has one."""
    variable = os.environ.pop(VARIABLE, None)
    if variable is None:
        return None
    try:
        listener, lock, address = variable.split(",", 2)
        found = StatusSocket(address, _socket.socket(fileno=int(listener)), int(lock))
    except (ValueError, OSError):
        # A process outside has set it.
        return None
    for fd in (int(listener), int(lock)):
        os.set_inheritable(fd, False)
    return found


def bind(address: str, uid: int, gid: int) -> StatusSocket:
    """Return a socket that listens on *address*. A Unix socket belongs to *uid* and *gid*, and has mode 0600.

    :raises OSError: if that fails
    """
    if address.startswith("unix:"):
        sock = _bind_path(address[len("unix:"):], uid, gid)
    else:
        sock = _bind_host(address)
    sock.setblocking(False)
    return StatusSocket(address, sock, unnamed_file())


def _bind_host(address: str) -> Any:
    host, _, port = address.rpartition(":")
    family, kind, protocol, _, target = _socket.getaddrinfo(host.strip("[]"), int(port), 0, socket.SOCK_STREAM)[0]
    sock = _socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_path(path: str, uid: int, gid: int) -> Any:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    sock = _socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        sock.bind(path)
        if os.geteuid() == 0:
            os.chown(path, uid, gid)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock
