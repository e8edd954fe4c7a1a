"""The status process: the master binds its address, starts it, and starts it again when it has ended.

It is not a child of the master, because Gunicorn takes every child that ends for a worker. The master forks a process
that forks it and exits. A socket pair tells each side that the other one has ended.
"""
from __future__ import annotations

import _socket
import os
import posix
import socket
import stat
import sys
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn

from gunicorn.util import set_owner_process

from gworkers.error_text import print_traceback
from gworkers.shared_state import MEMORY

#: Seconds until a status process that has ended is started again. It doubles each time, up to the maximum.
PAUSE = 1.0
MAXIMUM_PAUSE = 30.0
#: Connections that may wait for the status process.
BACKLOG = 64


class StatusProcess:
    """The status process of one master.

    :param arbiter: the master
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._address: str | None = None
        self._listener: Any = None
        #: the master's end of the socket pair; None if no status process runs
        self._link: Any = None
        self._pause = PAUSE
        self._started = self._due = 0.0
        # Otherwise a worker that lives longer than the master would keep the status process alive.
        os.register_at_fork(after_in_child=self._release)

    def listen(self, address: str | None) -> None:
        """Listen on *address*. None: serve no status.

        :raises SystemExit: if it cannot be bound when the server starts. Later that is logged, and nothing changes.
        """
        if address == self._address:
            return
        try:
            listener = None if address is None else _bind(address, self._arbiter.cfg)
        except OSError as error:
            self._arbiter.log.error("The status address %s cannot be bound: %s. Use another one, or stop the process "
                                    "that uses it.", address, error.strerror or error)
            if self._started:
                return
            sys.exit(1)
        self._close()
        self._address, self._listener = address, listener
        self._pause = PAUSE
        if listener is not None:
            self._arbiter.log.info("Status at: %s", _text(listener))
        self._start()

    def maintain(self) -> None:
        """Start the process again if it has ended, after a pause."""
        if self._listener is None:
            return
        if self._link is not None and _has_ended(self._link):
            self._link.close()
            self._link = None
            if monotonic() - self._started > MAXIMUM_PAUSE:
                self._pause = PAUSE
            self._arbiter.log.error("The status process has ended. It is started again in %g s.", self._pause)
            self._due = monotonic() + self._pause
            self._pause = min(self._pause * 2, MAXIMUM_PAUSE)
        if self._link is None and monotonic() >= self._due:
            self._start()

    def end(self) -> None:
        """End the process, because the server has stopped."""
        self._close()
        self._address = None

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._listener is not None:
            path = self._listener.getsockname()
            self._listener.close()
            self._listener = None
            if isinstance(path, str) and path and os.getpid() == self._arbiter.pid:
                with suppress(OSError):
                    os.unlink(path)

    def _release(self) -> None:
        for sock in (self._link, self._listener):
            if sock is not None:
                sock.close()

    def _start(self) -> None:
        self._started = monotonic()
        if self._listener is None:
            return
        link, far_end = _socket.socketpair()
        # The fork closes the listener in the child.
        fds = [posix.dup(fd) for fd in (MEMORY.fd, far_end.fileno(), self._listener.fileno())]
        try:
            pid = posix.fork()
            if pid == 0:
                _become_status_process(fds, self._arbiter.cfg)
            posix.waitpid(pid, 0)
            self._link = link
        except OSError as error:
            link.close()
            self._arbiter.log.error("The status process could not be forked: %s.", error.strerror)
            self._due = monotonic() + MAXIMUM_PAUSE
        finally:
            far_end.close()
            for fd in fds:
                posix.close(fd)


def _become_status_process(fds: list[int], cfg: Any) -> NoReturn:
    try:
        if posix.fork():
            posix._exit(0)
        set_owner_process(cfg.uid, cfg.gid, initgroups=cfg.initgroups)
        for name in os.listdir("/dev/fd"):
            # One of them is the directory itself, which is closed.
            fd = int(name)
            if fd > 2 and fd not in fds:
                with suppress(OSError):
                    posix.close(fd)
        for fd in fds:
            os.set_inheritable(fd, True)
        # The directory of the application is not first on the path, because its modules could replace those of the
        # standard library.
        code = (f"import sys; sys.path[:1] = []; sys.path += {sys.path!r}; "
                "from gworkers.status.server import main; main()")
        os.execv(sys.executable, [sys.executable, "-c", code, *map(str, fds)])
    except BaseException as error:
        print_traceback(error)
    finally:
        posix._exit(1)


def _text(listener: Any) -> str:
    name = listener.getsockname()
    if isinstance(name, tuple):
        return f"http://[{name[0]}]:{name[1]}" if ":" in name[0] else f"http://{name[0]}:{name[1]}"
    return f"unix:{os.fsdecode(name)}"


def _has_ended(link: Any) -> bool:
    try:
        return not link.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _bind(address: str, cfg: Any) -> Any:
    """Return a socket that listens on *address*.

    :raises OSError: if that fails
    """
    if address.startswith("unix:"):
        return _bind_path(address[len("unix:"):], cfg)
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


def _bind_path(path: str, cfg: Any) -> Any:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    sock = _socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        sock.bind(path)
        if os.geteuid() == 0:
            os.chown(path, cfg.uid, cfg.gid)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock
