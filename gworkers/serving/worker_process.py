"""What serving needs of the worker process, as a protocol. The modules of this folder depend on no worker class."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gworkers.hubs.base import Hub
    from gworkers.serving.server import Server


class ReleasedAfterFork(Protocol):
    """An object with file descriptors."""

    def release_after_fork(self) -> None:
        """Close them in a process that the application has forked."""


class WorkerProcess(Protocol):
    """A worker whose application is loaded. Server hooks get this object."""

    #: Gunicorn's configuration
    cfg: Any
    #: Gunicorn's logger, of whatever class
    log: Any
    #: the WSGI application
    wsgi: Callable[..., Any]
    #: the listening sockets, as Gunicorn's socket objects
    sockets: Sequence[Any]
    hub: Hub
    server: Server
    watchdog: ReleasedAfterFork
    scheduler: ReleasedAfterFork
    #: the number of requests so far
    nr: int
    #: the number of requests after which to call :meth:`recycle`
    max_requests: int
    #: whether SIGABRT is ending the process
    aborting: bool
    #: the greenlet that has forked this process from a worker; None in a worker
    forking_greenlet: Any

    def wake(self) -> None:
        """Let the main greenlet run soon. Any native thread may call this."""

    def recycle(self) -> None:
        """Stop as soon as there is a successor. Further calls do nothing."""
