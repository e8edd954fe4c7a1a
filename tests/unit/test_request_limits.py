"""The time limits of requests, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable

from gworkers.serving.request_limits import TICK, RequestLimits


def test_other_code_runs_between_timeouts() -> None:
    """Requests that time out together do not block the hub for longer than a time slice."""
    scheduled: list[tuple[float, Callable[[], None]]] = []
    hub = SimpleNamespace(call_later=lambda seconds, function: scheduled.append((seconds, function)))
    # The time slice is always over. The requests have no greenlet any more.
    server: Any = SimpleNamespace(hub=hub, log=None, time_slice=-1.0,
                                  greenlets=SimpleNamespace(greenlet_of=lambda connection: None))
    limits = RequestLimits(server, 1.0, cancels=False, max_active=0)
    examined: list[str] = []
    for name in "abc":
        connection: Any = Examined(name, examined)
        limits.set(connection, 0.0)
    delays = []
    while limits.next_step():
        seconds, function = scheduled.pop(0)
        delays.append(seconds)
        before = len(examined)
        function()
        assert len(examined) == before + 1
    assert (examined, delays) == (["a", "b", "c"], [TICK, 0, 0])


class Examined:
    """As much of a connection as is used, which records that its request has timed out."""

    limited = False

    def __init__(self, name: str, examined: list[str]) -> None:
        self._name = name
        self._examined = examined

    @property
    def response(self) -> None:
        self._examined.append(self._name)
