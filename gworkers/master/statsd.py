"""The main figures for Gunicorn's own statsd client, which is Gunicorn's logger if ``statsd_host`` is set."""
from __future__ import annotations

from typing import Any

from gworkers.status.snapshot import Snapshot

#: Counters, by their names in a snapshot.
COUNTERS = {"shed": "gworkers.requests.shed", "timed_out": "gworkers.requests.timed_out",
            "client_gone": "gworkers.clients.gone", "blocks": "gworkers.hub.blocks",
            "connections_refused": "gworkers.connections.refused"}
#: Gauges, which are sums over the workers.
GAUGES = {"in_flight": "gworkers.requests.in_flight", "overdue": "gworkers.requests.overdue",
          "connections_open": "gworkers.connections.open", "greenlets": "gworkers.greenlets"}


class Statsd:
    """Sends figures by the client of *log*, if it is one.

    :param log: Gunicorn's logger
    """

    def __init__(self, log: Any) -> None:
        self._client = log if hasattr(log, "gauge") and hasattr(log, "increment") else None
        self._sent: dict[str, float] = {}

    @property
    def wants_figures(self) -> bool:
        """Whether figures are worth being made."""
        return self._client is not None

    def report(self, snapshot: Snapshot) -> None:
        """Send the figures of *snapshot*: gauges, and what has been added to counters since the last call."""
        client = self._client
        if client is None:
            return
        workers = snapshot.workers
        client.gauge("gworkers.workers", sum(worker.accepts for worker in workers))
        for figure, name in GAUGES.items():
            client.gauge(name, int(sum(worker.figures[figure] for worker in workers)))
        lag = max((worker.figures["lag_p99"] for worker in workers), default=0.0)
        client.gauge("gworkers.hub.lag_ms", round(lag * 1000, 3))
        for figure, name in COUNTERS.items():
            total = snapshot.totals.get(figure, 0.0)
            added = int(total - self._sent.get(figure, 0.0))
            self._sent[figure] = total
            if added:
                client.increment(name, added)
