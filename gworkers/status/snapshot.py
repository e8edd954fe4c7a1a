"""The state of a server at one moment, read from shared memory. Any process that has the file can read it."""
from __future__ import annotations

import json
from dataclasses import dataclass
from time import monotonic, sleep, time
from typing import Any

from gworkers.shared_memory import ATTEMPTS, PAUSE, SlotCopy, sequence, slot_count
from gworkers.shared_state import PHASE, Phase
from gworkers.status.figures import BACKGROUND_KINDS, BACKGROUND_OUTCOMES, BOUNDS, RECYCLE_REASONS, STATUS_CLASSES, load

#: Seconds without a beat after which a worker counts as blocked. Beats come every 0.4 s.
BLOCKED = 1.0


@dataclass
class WorkerSnapshot:
    """One worker."""

    slot: int
    phase: Phase
    figures: dict[str, float]
    document: dict[str, Any]
    now: float

    @property
    def blocked(self) -> float:
        """Seconds since the hub has run last, if that is long ago; else 0."""
        beat = self.figures["beat"]
        late = self.now - beat
        return late if beat and late >= BLOCKED else 0.0

    @property
    def accepts(self) -> bool:
        """Whether it accepts connections."""
        return self.phase in (Phase.READY, Phase.RETIRING)

    def as_json(self) -> dict[str, Any]:
        """Return it as a part of ``/state.json``."""
        figures = self.figures
        number = {name: int(value) for name, value in figures.items() if not name.startswith("lag_")}
        return {
            "number": number["number"], "slot": self.slot, "pid": number["pid"], "generation": number["generation"],
            "phase": self.phase.name.lower(), "age": round(self.now - figures["born"], 3), "rss": number["rss"],
            "published": round(self.now - figures["beat"], 3) if figures["beat"] else None,
            "blocked": round(self.blocked, 3),
            "requests": sum(number[f"requests_{name}"] for name in STATUS_CLASSES),
            "in_flight": number["in_flight"], "overdue": number["overdue"],
            "connections": {name: number[f"connections_{name}"] for name in ("open", "idle", "taken_over")},
            "greenlets": number["greenlets"],
            "background": {kind: number[f"background_running_{kind}"] for kind in BACKGROUND_KINDS},
            "lag": {name: round(figures[f"lag_{name}"], 6) for name in ("p50", "p99", "max")},
            "hub_time": round(figures["hub_seconds"], 6) if self.document.get("measures_hub_time") else None,
            "in_flight_requests": self.document.get("in_flight_requests", []),
        }


class Snapshot:
    """The state of a server at one moment.

    :param fd: the file of the shared memory
    """

    def __init__(self, fd: int) -> None:
        self.now = time()
        copies = _copy(fd)
        self._server: dict[str, Any] = parse(copies[0].document) if copies else {}
        figures = [load(copy) for copy in copies]
        #: the counters of the whole server by name
        self.totals = {name: sum(each[name] for each in figures) for name in figures[0]} if figures else {}
        now = monotonic()
        #: the workers that run, by number
        self.workers = sorted(
            (WorkerSnapshot(slot, Phase(copy.flag(PHASE)), each, parse(copy.document), now)
             for slot, (copy, each) in enumerate(zip(copies, figures)) if slot and each["pid"]),
            key=lambda worker: (worker.figures["number"], worker.figures["born"]))

    @property
    def state(self) -> str:
        """What the server does: ``starting``, ``serving``, ``reloading`` or ``stopping``."""
        return str(self._server.get("state", "starting"))

    @property
    def generation(self) -> int:
        """The generation of the workers that are started now."""
        return int(self._server.get("generation", 0))

    @property
    def started(self) -> float:
        """When the master has started, as a Unix time."""
        return float(self._server.get("started", 0.0))

    @property
    def accept_queue(self) -> list[dict[str, Any]]:
        """For each listening socket the number of connections that wait, and the most that may."""
        return list(self._server.get("accept_queue", []))

    @property
    def is_ready(self) -> bool:
        """Whether a worker accepts connections and the server does not stop."""
        return self.state != "stopping" and any(worker.accepts for worker in self.workers)

    @property
    def stuck(self) -> WorkerSnapshot | None:
        """A worker that has been blocked longer than ``timeout``, if there is one."""
        limit = self._server.get("timeout", 0)
        return next((worker for worker in self.workers if limit and worker.blocked > limit), None)

    def histogram(self, name: str) -> tuple[list[tuple[float, int]], int]:
        """Return the upper bounds of the buckets of *name*, each with a cumulative count, and the count of all."""
        count = 0
        buckets = []
        for index, bound in enumerate(BOUNDS):
            count += int(self.totals.get(f"{name}_{index}", 0))
            buckets.append((bound, count))
        return buckets, count + int(self.totals.get(f"{name}_{len(BOUNDS)}", 0))

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``/state.json``."""
        server = self._server
        total = {name: int(value) for name, value in self.totals.items()}
        blocks = [{"worker": int(worker.figures["number"]), "pid": int(worker.figures["pid"]), **block}
                  for worker in self.workers for block in worker.document.get("blocks", [])]
        return {
            "server": {"pid": server.get("pid"), "gworkers": server.get("gworkers"), "gunicorn": server.get("gunicorn"),
                       "state": self.state, "generation": self.generation, "started": self.started,
                       "now": round(self.now, 3)},
            "workers": [worker.as_json() for worker in self.workers],
            "totals": {
                "requests": {name: total.get(f"requests_{name}", 0) for name in STATUS_CLASSES},
                **{name: total.get(name, 0) for name in (
                    "shed", "timed_out", "client_gone", "blocks", "connections_refused", "bytes_in", "bytes_out",
                    "reloads", "failed_reloads", "failed_boots")},
                "recycles": {reason: total.get(f"recycled_{reason}", 0) for reason in RECYCLE_REASONS},
                "background": {kind: {outcome: total.get(f"background_{outcome}_{kind}", 0)
                                      for outcome in BACKGROUND_OUTCOMES} for kind in BACKGROUND_KINDS}},
            "request_time": self._histogram_as_json("request_time"),
            "lag": self._histogram_as_json("lag"),
            "accept_queue": self.accept_queue,
            "blocks": sorted(blocks, key=lambda block: -block["at"]),
            "reloads": server.get("reloads", []),
        }

    def _histogram_as_json(self, name: str) -> dict[str, Any]:
        buckets, count = self.histogram(name)
        return {"buckets": buckets, "sum": round(self.totals.get(f"{name}_sum", 0.0), 6), "count": count}


def _copy(fd: int) -> list[SlotCopy]:
    """Return all slots, as they were while the master moved no counters from one to another."""
    copies: list[SlotCopy] = []
    for _ in range(ATTEMPTS):
        count = slot_count(fd)
        if not count:
            break
        before = sequence(fd, 0)
        copies = [SlotCopy(fd, index) for index in range(count)]
        if copies[0].whole and sequence(fd, 0) == before:
            break
        sleep(PAUSE)
    return copies


def parse(document: bytes) -> dict[str, Any]:
    """Return the content of a slot's document; nothing if its writer was killed in the middle."""
    try:
        found = json.loads(document or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
