"""What the master tells systemd: when the server is ready, reloads and stops, that it is alive, and its figures."""
from __future__ import annotations

from time import monotonic, monotonic_ns
from typing import Any

from gworkers.status.snapshot import Snapshot
from gworkers.systemd import NOTIFIER, watchdog_seconds


class ServiceManager:
    """systemd, as one master sees it.

    :param arbiter: the master
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._ready = False
        self._watchdog = watchdog_seconds()
        self._watchdog_due = 0.0

    @property
    def wants_figures(self) -> bool:
        """Whether figures are worth being made."""
        return NOTIFIER.is_wanted

    def update(self, *, serves: bool) -> None:
        """Notify systemd when the first worker serves. Call this again and again."""
        if serves and not self._ready:
            self._ready = True
            self._send("READY=1")
        self.keep_alive()

    def keep_alive(self) -> None:
        """Tell the watchdog of systemd, if it asks, that the master runs. Call this again and again."""
        now = monotonic()
        if self._watchdog and now >= self._watchdog_due:
            self._watchdog_due = now + self._watchdog / 4
            self._send("WATCHDOG=1")

    def reload_begins(self) -> None:
        """A reload begins."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")

    def reload_ends(self) -> None:
        """The reload has ended, whatever its outcome."""
        self._send("READY=1")

    def stop(self) -> None:
        """The server stops."""
        self._send("STOPPING=1")

    def report(self, snapshot: Snapshot, rate: float) -> None:
        """Send one line with the figures of *snapshot*.

        :param rate: requests per second
        """
        workers = snapshot.workers
        lag = max((worker.figures["lag_p99"] for worker in workers), default=0.0)
        self._send(f"STATUS={snapshot.state.capitalize()}: {sum(worker.accepts for worker in workers)} workers, "
                   f"generation {snapshot.generation}, {rate:.0f} requests/s, "
                   f"{sum(int(worker.figures['in_flight']) for worker in workers)} in flight, "
                   f"hub lag {lag * 1000:.1f} ms")

    def _send(self, *assignments: str) -> None:
        # systemd listens to the first master only, while there are two.
        if not self._arbiter.master_pid:
            NOTIFIER.send(*assignments)
