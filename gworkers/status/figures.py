"""The figures in a slot of shared memory: their names, and their order.

Each slot has all of them. The slot of a worker has what the worker counts. The first slot has what the master counts,
and the counters of the workers that have ended. So a total is the sum over all slots, and never decreases.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from gworkers.shared_memory import Slot, SlotCopy

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
#: The reasons why a worker is recycled. Each is the name of a setting.
RECYCLE_REASONS = ("max_requests", "max_rss")
#: The kinds of functions that run in the background, and how a run ends; ``skipped`` ones do not begin.
BACKGROUND_KINDS = ("spawn", "timer", "cron", "file", "signal")
BACKGROUND_OUTCOMES = ("done", "failed", "abandoned", "skipped")
#: The upper bounds of the buckets of a histogram, in seconds: powers of two, from 0.1 ms to about a minute.
EXPONENTS = range(-13, 7)
BOUNDS = tuple(2.0 ** exponent for exponent in EXPONENTS)

#: What only grows.
COUNTERS = (
    *(f"requests_{name}" for name in STATUS_CLASSES),
    "shed", "timed_out", "client_gone", "blocks", "connections_refused", "bytes_in", "bytes_out", "hub_seconds",
    "reloads", "failed_reloads", "failed_boots", *(f"recycled_{reason}" for reason in RECYCLE_REASONS),
    *(f"{name}_{index}" for name in ("request_time", "lag") for index in range(len(BOUNDS) + 1)),
    "request_time_sum", "lag_sum",
    *(f"background_{outcome}_{kind}" for outcome in BACKGROUND_OUTCOMES for kind in BACKGROUND_KINDS),
)
#: The present state of a worker. ``born`` and ``beat`` are times of the monotonic clock, which all processes share.
GAUGES = (
    "pid", "number", "generation", "born", "beat", "rss", "in_flight", "overdue", "connections_open",
    "connections_idle", "connections_taken_over", "greenlets", "lag_p50", "lag_p99", "lag_max",
    *(f"background_running_{kind}" for kind in BACKGROUND_KINDS),
)
NAMES = (*COUNTERS, *GAUGES)


def store(slot: Slot, figures: Mapping[str, float]) -> None:
    """Store *figures* in *slot*; those that are missing become 0. Call this in the context ``slot.writing()``."""
    slot.set_numbers([figures.get(name, 0.0) for name in NAMES])


def load(slot: Slot | SlotCopy) -> dict[str, float]:
    """Return the figures in *slot* by name."""
    return dict(zip(NAMES, slot.numbers(len(NAMES))))


def by_bucket(name: str, counts: Sequence[int]) -> dict[str, float]:
    """Return the figures of histogram *name*.

    :param counts: the number of values for each exponent of ``math.frexp()``, negative ones from the end on
    """
    half = len(counts) // 2
    buckets = [sum(counts[-half:EXPONENTS[0] + 1]), *(counts[exponent] for exponent in EXPONENTS[1:]),
               sum(counts[EXPONENTS[-1] + 1:half])]
    return {f"{name}_{index}": float(count) for index, count in enumerate(buckets)}
