"""The metrics of a server for Prometheus. No other module imports prometheus_client, an optional dependency."""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from gworkers.status.figures import BACKGROUND_KINDS, BACKGROUND_OUTCOMES, RECYCLE_REASONS, STATUS_CLASSES
from gworkers.status.snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Counters: the name of the figure, the name of the metric, its description.
COUNTERS = (
    ("shed", "gworkers_requests_shed", "Requests that got 503 because of max_active_requests."),
    ("timed_out", "gworkers_requests_timed_out", "Requests that have exceeded their time limit."),
    ("client_gone", "gworkers_clients_gone", "Clients that have left, of requests that asked."),
    ("blocks", "gworkers_hub_blocks", "Blocks of a hub that were longer than block_warning."),
    ("connections_refused", "gworkers_connections_refused", "Connections that were closed to make room for others."),
    ("bytes_in", "gworkers_received_bytes", "Bytes received from clients."),
    ("bytes_out", "gworkers_sent_bytes", "Bytes sent to clients."),
    ("hub_seconds", "gworkers_hub_seconds", "Time that the greenlets of requests have run, not waited."),
    ("reloads", "gworkers_reloads", "Reloads that have replaced all workers."),
    ("failed_reloads", "gworkers_reloads_failed", "Reloads that were refused, or of which no worker booted."),
    ("failed_boots", "gworkers_boots_failed", "Attempts to boot workers that have failed."),
)
HISTOGRAMS = (
    ("request_time", "gworkers_request_seconds", "Time from the start of a request's greenlet to its end."),
    ("lag", "gworkers_hub_lag_seconds", "How late timers of the hubs were, sampled every 0.4 s."),
)
#: Gauges of each worker.
WORKER_GAUGES = (
    ("in_flight", "gworkers_requests_in_flight", "Requests that are served or queued."),
    ("overdue", "gworkers_requests_overdue", "Requests that still run after their clients were released."),
    ("greenlets", "gworkers_greenlets", "Greenlets that serve requests or wait for one."),
    ("rss", "gworkers_resident_bytes", "Memory in the resident set."),
    ("generation", "gworkers_worker_generation", "The generation of the worker."),
)


class Collector:
    """Collects the metrics of one snapshot, as a registry of prometheus_client does."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield from self._totals()
        yield from self._server()
        yield from self._workers()

    def _totals(self) -> Iterator[Metric]:
        totals = self._snapshot.totals
        requests = CounterMetricFamily("gworkers_requests", "Requests by the class of the status.", labels=["status"])
        for name in STATUS_CLASSES:
            requests.add_metric([name], totals.get(f"requests_{name}", 0))
        yield requests
        recycles = CounterMetricFamily("gworkers_recycles", "Workers that were recycled, by the setting that was "
                                       "reached.", labels=["reason"])
        for reason in RECYCLE_REASONS:
            recycles.add_metric([reason], totals.get(f"recycled_{reason}", 0))
        yield recycles
        runs = CounterMetricFamily("gworkers_background_runs", "Runs of background functions that have ended, or were "
                                   "skipped.", labels=["kind", "outcome"])
        for kind in BACKGROUND_KINDS:
            for outcome in BACKGROUND_OUTCOMES:
                runs.add_metric([kind, outcome], totals.get(f"background_{outcome}_{kind}", 0))
        yield runs
        for figure, name, description in COUNTERS:
            yield CounterMetricFamily(name, description, value=totals.get(figure, 0))
        for figure, name, description in HISTOGRAMS:
            buckets, count = self._snapshot.histogram(figure)
            yield HistogramMetricFamily(
                name, description, buckets=[*((repr(bound), number) for bound, number in buckets), ("+Inf", count)],
                sum_value=totals.get(f"{figure}_sum", 0.0))

    def _server(self) -> Iterator[Metric]:
        snapshot = self._snapshot
        yield GaugeMetricFamily("gworkers_generation", "The generation of new workers.", value=snapshot.generation)
        yield GaugeMetricFamily("gworkers_start_time_seconds", "When the master has started, as a Unix time.",
                                value=snapshot.started)
        yield GaugeMetricFamily("gworkers_ready", "1 if a worker accepts connections and the server does not stop.",
                                value=float(snapshot.is_ready))
        length = GaugeMetricFamily("gworkers_accept_queue", "Connections that no worker has accepted yet.",
                                   labels=["address"])
        limit = GaugeMetricFamily("gworkers_accept_queue_limit", "The most connections that may wait.",
                                  labels=["address"])
        for queue in snapshot.accept_queue:
            length.add_metric([queue["address"]], queue["length"])
            limit.add_metric([queue["address"]], queue["limit"])
        yield length
        yield limit

    def _workers(self) -> Iterator[Metric]:
        labels = ["worker", "slot"]
        workers: list[tuple[list[str], Any]] = [
            ([str(int(worker.figures["number"])), str(worker.slot)], worker) for worker in self._snapshot.workers]
        for figure, name, description in WORKER_GAUGES:
            gauge = GaugeMetricFamily(name, description, labels=labels)
            for values, worker in workers:
                gauge.add_metric(values, worker.figures[figure])
            yield gauge
        phase = GaugeMetricFamily("gworkers_worker_phase", "1 for the present phase of the worker.",
                                  labels=[*labels, "phase"])
        age = GaugeMetricFamily("gworkers_worker_age_seconds", "Time since the worker was forked.", labels=labels)
        blocked = GaugeMetricFamily("gworkers_hub_blocked_seconds", "Time since the hub has run last, if that is long "
                                    "ago.", labels=labels)
        connections = GaugeMetricFamily("gworkers_connections", "Connections: all that are open, those of them that "
                                        "wait for a request, and those that applications have taken over.",
                                        labels=[*labels, "state"])
        running = GaugeMetricFamily("gworkers_background_running", "Functions that run in the background, or are about "
                                    "to.", labels=[*labels, "kind"])
        for values, worker in workers:
            for kind in BACKGROUND_KINDS:
                running.add_metric([*values, kind], worker.figures[f"background_running_{kind}"])
            phase.add_metric([*values, worker.phase.name.lower()], 1)
            age.add_metric(values, worker.now - worker.figures["born"])
            blocked.add_metric(values, worker.blocked)
            for state in ("open", "idle", "taken_over"):
                connections.add_metric([*values, state], worker.figures[f"connections_{state}"])
        yield from (phase, age, blocked, connections, running)


def render(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """Return the metrics as text, and its content type.

    :param accept: the header field ``Accept`` of the request
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):
        # An invalid version, for example.
        encode, content_type = choose_encoder("")
    return encode(Collector(snapshot)), content_type
