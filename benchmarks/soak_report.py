"""The limits of a soak, and its report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .hostile import KINDS
from .resources import Resources
from .table import align

if TYPE_CHECKING:
    from .soak import Outcome

LONGEST_WAIT = 0.1
"""Seconds. The 99th percentile of the waits must be below."""
LATE = 0.02
"""Seconds. If the 99th percentile of the clients' own delay is above, the server alone does not cause the waits."""
LONGEST_STOP = 12.0
"""Seconds. The server's graceful_timeout and a margin."""
MEMORY = 8192
"""KiB that all workers together may gain between two measurements."""
MASTER_MEMORY = 2048
"""KiB that the master may gain between two measurements."""
SPARE = {"descriptors": 6, "connections": 6, "greenlets": 10, "closed": 40}
"""How many more of these all workers together may have: well-behaved clients come and go, and a few closed connections
wait for the garbage collector."""
MILLISECONDS = 1000

SNAPSHOTS = ("begin", "middle", "end")
ROWS = ("master_memory", "master_descriptors", "memory", "descriptors", "greenlets", "connections", "closed")
TITLES = ("master, KiB of memory", "master, descriptors", "workers, KiB of memory", "workers, descriptors",
          "workers, greenlets", "workers, open connections", "workers, closed and not freed")
LEGEND = """\
failed: no response, a wrong one, or another status than 200. ms: waits for complete responses, without the
application's own time. late: milliseconds from the time a request was due until it was sent. The cause of that delay,
the clients' own work or other load, delays the reading of responses too, and is included in the waits."""


def percentile(values: list[float], part: float) -> float:
    """The value that this part of *values*, which are in order, does not exceed; 0 if there are none."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0


def render(outcome: Outcome) -> str:
    """Tables of the clients' results, of the hostile load and of the resources of the processes."""
    rows = [["", "requests", "failed", "p50 ms", "p99 ms", "max ms", "late p50", "p99", "max", ""]]
    every: tuple[list[float], list[float]] = [], []
    for name, record in outcome.records.items():
        every[0].extend(record.waits)
        every[1].extend(record.lags)
        rows.append([name, f"{record.ok + record.failed:,}", f"{record.failed:,}",
                     *milliseconds(list(record.waits)), *milliseconds(list(record.lags)), ""])
    records = outcome.records.values()
    rows.append(["all", f"{sum(record.ok + record.failed for record in records):,}",
                 f"{sum(record.failed for record in records):,}", *milliseconds(every[0]), *milliseconds(every[1]), ""])
    lines = [*align(rows), "  hostile: " + ", ".join(f"{name} {count:,}" for name, count in done(outcome).items())]
    if outcome.snapshots:
        held = [[title, *(f"{getattr(snapshot, name):,}" for snapshot in outcome.snapshots), ""]
                for name, title in zip(ROWS, TITLES)]
        lines += align([["", *SNAPSHOTS[:len(outcome.snapshots)], ""], *held])
        lines += [busy(*outcome.snapshots[-2:])] if len(outcome.snapshots) == len(SNAPSHOTS) else []
    if outcome.stop is not None:
        lines.append(f"  stopped in {outcome.stop:.1f} s")
    return "\n".join([*lines, LEGEND])


def busy(before: Resources, after: Resources) -> str:
    """The share of time between two measurements that the same workers were running."""
    elapsed = after.at - before.at
    ran, waited = after.ran - before.ran, after.waited - before.waited
    return (f"  from middle to end the workers used a processor for {ran / elapsed:.0%} of the time "
            f"and waited for one for {waited / elapsed:.0%}")


def milliseconds(values: list[float]) -> list[str]:
    values.sort()
    found = (percentile(values, 0.5), percentile(values, 0.99), values[-1] if values else 0.0)
    return [f"{value * MILLISECONDS:,.1f}" for value in found]


def done(outcome: Outcome) -> Counter[str]:
    """How often each kind of hostile load occurred."""
    return sum((report.done for report in outcome.reports), Counter())


def faults(outcome: Outcome) -> list[str]:
    """The deviations from the expected result."""
    found = [outcome.problem] if outcome.problem else []
    found += client_faults(outcome)
    found += hostile_faults(outcome)
    if outcome.snapshots:
        first = outcome.snapshots[0]
        for when, snapshot in zip(("middle", "end"), outcome.snapshots[1:]):
            found += [f"{when}: {fault}" for fault in growth_of_counts(first, snapshot)]
        found += growth_of_memory(outcome.snapshots)
        found += worker_faults(outcome)
    if outcome.stop is not None and outcome.stop > LONGEST_STOP:
        found.append(f"the server took {outcome.stop:.1f} s to stop; the limit is {LONGEST_STOP:g} s")
    return found


def client_faults(outcome: Outcome) -> list[str]:
    """The failures of well-behaved clients."""
    found = []
    for name, record in outcome.records.items():
        if not record.ok:
            found.append(f"{name}: no request was answered")
        if record.failed:
            found.append(
                f"{name}: {record.failed:,} requests failed: lost {record.lost}, raced {record.raced}, "
                f"refused {record.refused}, status {record.non200}, wrong {record.wrong}")
            found += [f"{name}: {incident}" for incident in record.incidents]
    waits = sorted(wait for record in outcome.records.values() for wait in record.waits)
    lags = sorted(lag for record in outcome.records.values() for lag in record.lags)
    wait, lag = percentile(waits, 0.99), percentile(lags, 0.99)
    if wait >= LONGEST_WAIT:
        doubt = "; the clients were late themselves, so the server may not be the cause" if lag > LATE else ""
        found.append(f"the 99th percentile of the waits is {wait * MILLISECONDS:.0f} ms; "
                     f"it must be below {LONGEST_WAIT * MILLISECONDS:g} ms{doubt}")
    return found


def hostile_faults(outcome: Outcome) -> list[str]:
    """The failures that hostile clients caused, and the kinds that did not occur."""
    total = done(outcome)
    found = [f"this kind of hostile load did not occur: {kind.name}" for kind in KINDS if not total[kind.name]]
    for report in outcome.reports:
        found += [f"the server left {count} connections of this kind open: {name}"
                  for name, count in report.left_open.items()]
        if report.refused:
            found.append(f"{report.refused} connections of hostile clients were refused")
        if report.http_on_websocket:
            found.append(f"HTTP requests were answered on {report.http_on_websocket} WebSocket connections")
    return found


def growth_of_counts(before: Resources, after: Resources) -> list[str]:
    """The resources of which *after* has more, except memory."""
    found = []
    for name in ("processes", "master_descriptors", *SPARE):
        earlier, later = getattr(before, name), getattr(after, name)
        if later > earlier + SPARE.get(name, 0):
            found.append(f"{name} grew from {earlier} to {later}")
    return found


def growth_of_memory(snapshots: list[Resources]) -> list[str]:
    """The memory that has grown from one measurement to the next."""
    found = []
    for before, after in zip(snapshots, snapshots[1:]):
        for name, most in (("memory", MEMORY), ("master_memory", MASTER_MEMORY)):
            earlier, later = getattr(before, name), getattr(after, name)
            if later > earlier + most:
                found.append(f"{name} grew from {earlier:,} to {later:,} KiB; the limit is {most:,} KiB more")
    return found


def worker_faults(outcome: Outcome) -> list[str]:
    """The deviations in the sets of workers."""
    found = []
    for before, after, same in zip(outcome.snapshots, outcome.snapshots[1:], (False, True)):
        if same and before.workers != after.workers:
            found.append(f"the workers {sorted(before.workers)} became {sorted(after.workers)} without a reload")
        elif not same and before.workers & after.workers:
            found.append(f"the workers {sorted(before.workers & after.workers)} have survived the reloads")
    seen = set().union(*(record.workers for record in outcome.records.values()))
    most = len(outcome.snapshots[0].workers) * (1 + outcome.reloads)
    if len(seen) > most:
        found.append(f"{len(seen)} workers have answered; with {outcome.reloads} reloads there are at most {most}")
    return found
