"""A look, between two heartbeats, at whether the server still does its work.

The heartbeat says that the main greenlet runs, not that connections are served. Each part of the
server that something else must wake says what it does next; if that stays the same for
:data:`PATIENCE` seconds nothing has woken it. The server is then repaired where that is safe. What
stays as it is after a repair is beyond it, and the worker must be replaced.
"""
from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Callable, NamedTuple, Protocol
from weakref import ref

if TYPE_CHECKING:
    from gworkers.serving.server import Server

#: Seconds between two looks.
INTERVAL = 2.0
#: Seconds for which a part of the server may make no progress, before a repair and again after it.
PATIENCE = 4.0
#: How many times as long a connection may make none: it may wait for a part of the server.
CONNECTION_PATIENCE = 2


class Part(Protocol):
    """A part of the server that something else must wake."""

    def next(self) -> object:
        """Return what it does next, for comparison, or None if there is nothing to do."""

    def recover(self) -> None:
        """Wake it."""


class Work(NamedTuple):
    """Something that waits to be woken."""

    #: equal at two looks if nothing has happened in between
    state: object
    #: for the log
    description: str
    #: wakes it
    repair: Callable[[], None]
    #: how many times :data:`PATIENCE` to wait
    patience: int = 1


class SelfCheck:
    """Remembers what it saw of one server.

    :param server: what to look at
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._due = monotonic() + INTERVAL
        self._seen: dict[object, tuple[float, bool]] = {}

    def run(self) -> bool:
        """Look, if it is time to; return whether the server works or has been repaired."""
        now = monotonic()
        if now < self._due:
            return True
        self._due = now + INTERVAL
        before, self._seen = self._seen, {}
        healthy = True
        for work in list(self._work()):
            since, repaired = before.get(work.state, (now, False))
            if now - since >= PATIENCE * work.patience:
                if repaired:
                    healthy = False
                else:
                    self._repair(work)
                    since, repaired = now, True
            self._seen[work.state] = since, repaired
        return healthy

    def _repair(self, work: Work) -> None:
        self._server.log.error("Stalled for %s s: %s. Trying to repair it.", PATIENCE * work.patience,
                               work.description)
        try:
            work.repair()
        except Exception:
            self._server.log.exception("The repair failed: %s", work.description)

    def _work(self) -> Iterator[Work]:
        server = self._server
        parts: tuple[tuple[Part, str], ...] = (
            (server.greenlets, "requests that are not started"),
            (server.outbox, "responses that are not sent"),
            (server.timeouts, "connection timeouts that are not checked"),
            (server.log, "log records that are not passed on"),
            *((listener, "a listener that does not accept") for listener in server.listeners))
        for part, description in parts:
            state = part.next()
            if state is not None:
                yield Work((description, part, state), description, part.recover)
        if server.full and server.has_waiting:
            yield Work("full", "accepting that was not resumed", server.resume_accepting)
        for connection in server.connections:
            if connection.needs_wake_up:
                # One that is closed before the next look does not wait for that.
                yield Work((ref(connection), connection.state, connection.served),
                           f"a {connection} that nothing wakes", connection.close, CONNECTION_PATIENCE)
