"""The status process: the master starts it, and starts it again when it has ended.

It is not a child of the master, because Gunicorn takes every child that ends for a worker. The master forks a process
that forks it and exits. A socket pair tells each side that the other one has ended.
"""
from __future__ import annotations

import _socket
import os
import posix
import socket
import sys
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic
from typing import Any, NoReturn

from gworkers.error_text import print_traceback
from gworkers.master import status_socket
from gworkers.master.status_socket import StatusSocket
from gworkers.shared_state import MEMORY

#: Seconds until a status process that has ended is started again. It doubles each time, up to the maximum.
PAUSE = 1.0
MAXIMUM_PAUSE = 30.0


class StatusProcess:
    """The status process of one master.

    While there are two masters, that of the first one serves, until the first one has ended or has no workers.

    :param arbiter: the master
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._socket = status_socket.inherited()
        #: this end of the socket pair; None if no status process runs
        self._link: Any = None
        self._pause = PAUSE
        self._started = self._due = 0.0
        # A worker that lives longer than the master must keep neither the status process nor its address.
        os.register_at_fork(after_in_child=self._release)

    def begin(self, address: str | None) -> None:
        """Serve on *address* from the start of the server on. None: serve no status.

        :raises SystemExit: if it cannot be bound
        """
        if not self._listen(address):
            sys.exit(1)

    def change(self, address: str | None) -> None:
        """Serve on *address* after a reload. If it cannot be bound, that is logged, and nothing changes."""
        self._listen(address)

    def _listen(self, address: str | None) -> bool:
        current = self._socket
        if address == (None if current is None else current.address):
            return True
        arbiter = self._arbiter
        try:
            bound = None if address is None else status_socket.bind(address, arbiter.cfg.uid, arbiter.cfg.gid)
        except OSError as error:
            arbiter.log.error("The status address %s cannot be bound: %s. Use another one, or stop the process that "
                              "uses it.", address, error.strerror or error)
            return False
        self.end()
        self._socket, self._pause, self._due = bound, PAUSE, 0.0
        if bound is not None:
            arbiter.log.info("Status at: %s", bound)
        return True

    def maintain(self, serves: bool) -> None:
        """Start the process if it does not run, after a pause if it has ended.

        :param serves: whether a worker of this master serves
        """
        if self._link is not None and _has_ended(self._link):
            self._unlink()
            if monotonic() - self._started > MAXIMUM_PAUSE:
                self._pause = PAUSE
            self._arbiter.log.error("The status process has ended. It is started again in %g s.", self._pause)
            self._due = monotonic() + self._pause
            self._pause = min(self._pause * 2, MAXIMUM_PAUSE)
        if self._arbiter.reexec_pid and not serves:
            # The second master's serves from now on.
            self._unlink()
        elif self._socket is not None and self._link is None and monotonic() >= self._due:
            self._start(self._socket)

    def left_to_second_master(self, environ: dict[str, str]) -> AbstractContextManager[None]:
        """Return the context in which a second master starts, whose environment is *environ*."""
        # This may be a second master, which has become the only one.
        environ.pop(status_socket.VARIABLE, None)
        return nullcontext() if self._socket is None else self._socket.left_to_second_master(environ)

    def end(self) -> None:
        """End the process and stop to listen."""
        self._unlink()
        if self._socket is not None:
            if self._arbiter.reexec_pid == self._arbiter.master_pid == 0 and os.getpid() == self._arbiter.pid:
                self._socket.remove()
            self._socket.close()
            self._socket = None

    def _unlink(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _release(self) -> None:
        self._unlink()
        if self._socket is not None:
            self._socket.close()

    def _start(self, sock: StatusSocket) -> None:
        self._started = monotonic()
        link, far_end = _socket.socketpair()
        # Copies, because the fork closes the socket in the child.
        fds = [posix.dup(MEMORY.fd), posix.dup(far_end.fileno()), *sock.copies()]
        try:
            pid = posix.fork()
            if pid == 0:
                _become_status_process(fds, self._arbiter.cfg)
            with suppress(ChildProcessError):
                # A library of a preloaded application may reap every child of the process.
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
        for fd in _open_fds():
            if fd > 2 and fd not in fds:
                # One of them was that of the listing.
                with suppress(OSError):
                    posix.close(fd)
        for fd in fds:
            os.set_inheritable(fd, True)
        # The directory of the application is not first on the path, because its modules could replace those of the
        # standard library.
        code = (f"import sys; sys.path[:1] = []; sys.path += {sys.path!r}; "
                "from gworkers.status.server import main; main()")
        os.execv(sys.executable, [sys.executable, "-c", code, *map(str, (*fds, cfg.uid, cfg.gid))])
    except BaseException as error:
        print_traceback(error)
    finally:
        posix._exit(1)


def _open_fds() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        # A system without /proc.
        return list(range(min(os.sysconf("SC_OPEN_MAX"), 65536)))


def _has_ended(link: Any) -> bool:
    try:
        return not link.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
