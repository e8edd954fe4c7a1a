"""A check, between heartbeats, that the server makes progress.

The heartbeat shows that the main greenlet runs. It does not show that connections are served. Each part of
the server that depends on the hub to call it can name its next step. If the step stays the same for
:data:`PATIENCE` seconds, the hub has not called the part, and the part is scheduled again. If that does not
help, the worker must be replaced.
"""
from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Callable, NamedTuple, Protocol
from weakref import ref

if TYPE_CHECKING:
    from gworkers.serving.server import Server

#: Seconds between two checks.
INTERVAL = 2.0
#: Seconds without progress after which a part of the server is repaired, and after which a repair has failed.
PATIENCE = 4.0
#: The factor on :data:`PATIENCE` for a connection, which may wait for a part of the server.
CONNECTION_FACTOR = 2


class Part(Protocol):
    """A part of the server that depends on the hub to call it."""

    def next_step(self) -> object:
        """Return a value that changes with each step, or None if there is nothing to do."""

    def recover(self) -> None:
        """Let the hub call it again."""


class Work(NamedTuple):
    """The next step of a part or of a connection, which depends on a call by the hub."""

    #: equal in two checks if there was no progress between them
    state: object
    #: its description in the log
    description: str
    #: lets the hub call it again
    repair: Callable[[], None]
    #: the factor on :data:`PATIENCE`
    factor: int = 1


class SelfCheck:
    """Checks one server.

    :param server: the server
    :param scheduler: the scheduler of background functions
    """

    def __init__(self, server: Server, scheduler: Part) -> None:
        self._server = server
        self._scheduler = scheduler
        self._due = monotonic() + INTERVAL
        #: for each state in the last check: when it was first seen or repaired, and whether it was repaired
        self._seen: dict[object, tuple[float, bool]] = {}

    def run(self) -> bool:
        """Check the server if it is time to. Return false if a repair did not help."""
        now = monotonic()
        if now < self._due:
            return True
        self._due = now + INTERVAL
        before, self._seen = self._seen, {}
        healthy = True
        for work in list(self._work()):
            since, repaired = before.get(work.state, (now, False))
            if now - since >= PATIENCE * work.factor:
                if repaired:
                    healthy = False
                else:
                    self._repair(work)
                    since, repaired = now, True
            self._seen[work.state] = since, repaired
        return healthy

    def _repair(self, work: Work) -> None:
        self._server.log.error("Stalled for %s s: %s. The worker repairs this now; if that does not help, it is "
                               "replaced.", PATIENCE * work.factor, work.description)
        try:
            work.repair()
        except Exception:
            self._server.log.exception("The repair failed: %s", work.description)

    def _work(self) -> Iterator[Work]:
        server = self._server
        parts: tuple[tuple[Part, str], ...] = (
            (server.greenlets, "requests are not started"),
            (server.outbox, "responses are not sent"),
            (server.deadlines, "connection timeouts are not checked"),
            (server.limits, "time limits of requests are not checked"),
            (server.clients, "clients that leave are not detected"),
            (server.log, "log records are not passed on"),
            (server.runs, "background functions are not started"),
            (self._scheduler, "timers and signals of the application are not checked"),
            *((listener, "a listener does not accept connections") for listener in server.listeners))
        for part, description in parts:
            state = part.next_step()
            if state is not None:
                yield Work((description, part, state), description, part.recover)
        if server.full and server.has_waiting:
            yield Work("full", "accepting connections was not resumed", server.resume_accepting)
        for connection in server.connections:
            if connection.needs_wake_up:
                # A weak reference, so that a connection that is closed is freed before the next check.
                yield Work((ref(connection), connection.state, connection.served),
                           f"a {connection}, makes no progress", connection.close, CONNECTION_FACTOR)
