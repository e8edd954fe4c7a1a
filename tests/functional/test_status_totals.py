"""Totals are right, and never decrease, while workers come and go."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from support.load import Load
from support.masters import LONG
from support.server import Server
from support.status import ON, Status
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

HUPS, RECYCLES = 20, 50


def counters(state: dict[str, Any]) -> dict[str, float]:
    totals = state["totals"]
    flat = {name: value for name, value in totals.items() if not isinstance(value, dict)}
    for name in ("requests", "recycles"):
        flat.update({f"{name} {key}": value for key, value in totals[name].items()})
    for name in ("request_time", "lag"):
        flat.update({f"{name} {bound}": count for bound, count in state[name]["buckets"]})
        flat[f"{name} count"] = state[name]["count"]
    return flat


@contextmanager
def watched(status: Status) -> Iterator[list[str]]:
    """Ask for the state again and again; collects the counters that have decreased."""
    decreased: list[str] = []
    ended = threading.Event()

    def watch() -> None:
        before: dict[str, float] = {}
        while not ended.is_set():
            now = counters(status.state())
            decreased.extend(f"{name}: {before[name]}, {now[name]}" for name in before if now[name] < before[name])
            before = now

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield decreased
    finally:
        ended.set()
        thread.join(20)


def has_reloaded(status: Status, times: int) -> bool:
    return bool(status.state()["totals"]["reloads"] == times)


@pytest.mark.slow
@pytest.mark.full
def test_totals_are_those_of_the_clients_over_reloads_and_recycled_workers(start: Start) -> None:
    server = start("probe:app", "--max-requests", 60, workers=2, settings=ON)
    status = Status(server)
    with Load(server) as load, watched(status) as decreased:
        for done in range(1, HUPS + 1):
            server.signal(signal.SIGHUP)
            until(partial(has_reloaded, status, done), f"reload {done}", LONG)
        until(lambda: status.state()["totals"]["recycles"]["max_requests"] >= RECYCLES, "recycled workers", 2 * LONG)
    assert not load.failures
    assert not decreased
    until(lambda: status.requests() >= len(load.pids), "all requests")
    state = status.state()
    assert state["totals"]["requests"] == {"1xx": 0, "2xx": len(load.pids), "3xx": 0, "4xx": 0, "5xx": 0, "other": 0}
    assert state["request_time"]["count"] == len(load.pids)
    assert state["totals"]["recycles"]["max_requests"] >= RECYCLES
    assert len(set(load.pids)) > HUPS + RECYCLES // 2


def test_counters_of_a_killed_worker_stay(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    client = server.connect()
    for _ in range(5):
        assert client.request().status == 200
    until(lambda: status.requests() == 5, "5 requests")
    (killed,) = server.worker_pids()
    os.kill(killed, signal.SIGKILL)
    until(lambda: [worker["pid"] for worker in status.state()["workers"] if worker["phase"] == "ready"]
          not in ([], [killed]), "a successor")
    assert status.requests() == 5
    assert server.connect().request().status == 200
    until(lambda: status.requests() == 6, "a request")
