"""Rates and quantiles from two snapshots of a server's state."""
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gworkers.status.client import State

#: The upper bound of each bucket and the number of samples up to it. The last bound is infinite.
Buckets = list[tuple[float, int]]


class Changes(NamedTuple):
    """What happened between two snapshots. ``None``: unknown, because no time has passed or there was no sample."""

    #: requests per second of all workers
    rate: float | None
    #: requests per second by worker
    worker_rates: dict[tuple[int, int], float | None]
    #: median and 99 % quantile of the request time, in seconds
    time: tuple[float | None, float | None]
    #: median and 99 % quantile of the hub lag, in seconds
    lag: tuple[float | None, float | None]


def worker_key(worker: dict[str, Any]) -> tuple[int, int]:
    """Return the identity of a worker process and of its counters."""
    return worker["slot"], worker["pid"]


def changes(before: State, after: State) -> Changes:
    """Return the changes from one snapshot to a later one of the same server."""
    seconds = after["server"]["now"] - before["server"]["now"]

    def rate(earlier: int, later: int) -> float | None:
        return max(0, later - earlier) / seconds if seconds > 0 else None

    counted = {worker_key(worker): worker["requests"] for worker in before["workers"]}
    time = _between(before["request_time"], after["request_time"])
    lag = _between(before["lag"], after["lag"])
    return Changes(
        rate(sum(before["totals"]["requests"].values()), sum(after["totals"]["requests"].values())),
        {key: rate(counted.get(key, 0), worker["requests"])
         for key, worker in ((worker_key(worker), worker) for worker in after["workers"])},
        (quantile(time, 0.5), quantile(time, 0.99)), (quantile(lag, 0.5), quantile(lag, 0.99)))


def _between(before: dict[str, Any], after: dict[str, Any]) -> Buckets:
    """Return the samples of a histogram from one snapshot to another."""
    earlier = [count for _, count in before["buckets"]] or [0] * len(after["buckets"])
    buckets = [(float(bound), count - past) for (bound, count), past in zip(after["buckets"], earlier)]
    return [*buckets, (math.inf, after["count"] - before["count"])]


def quantile(buckets: Buckets, q: float) -> float | None:
    """Return the quantile *q* of a histogram, interpolated within its bucket; ``None`` without samples.

    In the bucket without an upper bound it is the bucket's lower bound.
    """
    total = buckets[-1][1] if buckets else 0
    lower, below = 0.0, 0
    for bound, count in buckets:
        if total > 0 and count >= q * total and count > below:
            return lower if bound == math.inf else lower + (bound - lower) * (q * total - below) / (count - below)
        lower, below = bound, count
    return None


def silence(worker: dict[str, Any]) -> float:
    """Return the seconds since *worker* reported if these are too many, otherwise 0.

    A worker reports every 0.4 s. One that boots has not reported yet.
    """
    published: float = worker["published"] or 0.0
    return published if worker["phase"] != "booting" and published > 2 else 0.0


def last_blocks(state: State) -> list[dict[str, Any]]:
    """Return the blocks, the newest first, each with ``lasts``: whether it has not ended.

    A block was reported while it lasted. If it has not ended, its ``seconds`` are those until now.
    """
    now = state["server"]["now"]
    blocked = {worker["pid"]: worker["blocked"] for worker in state["workers"] if worker["blocked"]}
    found = []
    for block in sorted(state["blocks"], key=lambda block: -block["at"]):
        seconds = blocked.get(block["pid"], 0)
        lasts = now - seconds < block["at"]
        found.append({**block, "lasts": lasts, "seconds": seconds if lasts else block["seconds"]})
    return found


def in_flight(state: State) -> list[dict[str, Any]]:
    """Return the requests in flight of all workers, the oldest first, each with its ``worker``.

    The age of a request was taken when its worker reported, so the time since then is added.
    """
    found = [{**request, "worker": worker, "age": request["age"] + (worker["published"] or 0)}
             for worker in state["workers"] for request in worker["in_flight_requests"]]
    return sorted(found, key=lambda request: -request["age"])
