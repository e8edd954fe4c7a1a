"""The watch for clients that leave, without a server."""

from __future__ import annotations

import select
from types import SimpleNamespace
from typing import Any, Callable

from gworkers.serving.client_watch import INTERVAL, ClientWatch


def test_other_code_runs_between_clients_that_leave_together() -> None:
    """Their requests do not block the hub for longer than a time slice."""
    scheduled: list[tuple[float, Callable[[], None]]] = []
    hub = SimpleNamespace(call_later=lambda seconds, function: scheduled.append((seconds, function)),
                          poll=lambda fd, events: select.POLLHUP)
    # The time slice is always over.
    server: Any = SimpleNamespace(hub=hub, log=None, time_slice=-1.0)
    watch = ClientWatch(server, cancels=False)
    for _ in range(3):
        connection: Any = Watched()
        watch.watch(connection)
    for count, delay in enumerate((INTERVAL, 0, 0), 1):
        seconds, sweep = scheduled.pop(0)
        assert seconds == delay
        sweep()
        assert watch.count == count


class Watched:
    """As much of a connection as is used."""

    limited = released = is_closed = broken = taken_over = False
    sock = SimpleNamespace(fileno=lambda: 0)
