"""Figures in slots, histograms, and the sums over all slots."""

from __future__ import annotations

import json
from math import frexp
from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.serving.counters import EXPONENTS, Counters
from gworkers.shared_memory import DOCUMENT_SIZE, NUMBERS, MemoryFile, Slot
from gworkers.status import server as status_server
from gworkers.status.figures import BOUNDS, COUNTERS, NAMES, by_bucket, load, store
from gworkers.status.snapshot import Snapshot
from gworkers.worker.publisher import REQUESTS, STACKS, Publisher

pytestmark = pytest.mark.smoke


def write(slot: Slot, document: bytes = b"", **figures: float) -> None:
    with slot.writing():
        store(slot, figures)
        slot.set_document(document)


def test_figures_fit_into_a_slot() -> None:
    assert len(set(NAMES)) == len(NAMES) <= NUMBERS
    slot = MemoryFile().take(1)
    with slot.writing():
        store(slot, {name: float(number) for number, name in enumerate(NAMES)})
    assert load(slot) == {name: float(number) for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(("seconds", "bucket"), [
    (1e-9, 0), (0.0001, 0), (0.00013, 1), (0.0003, 2), (0.75, 13), (1.5, 14), (63.0, 19), (65.0, 20), (1e9, 20)])
def test_value_is_counted_in_the_bucket_of_its_power_of_two(seconds: float, bucket: int) -> None:
    counts = [0] * EXPONENTS
    counts[frexp(seconds)[1]] += 1
    figures = by_bucket("lag", counts)
    assert [name for name, count in figures.items() if count] == [f"lag_{bucket}"]
    assert bucket == len(BOUNDS) or seconds <= BOUNDS[bucket]
    assert bucket == 0 or seconds > BOUNDS[bucket - 1]


def test_snapshot_adds_up_all_slots() -> None:
    memory = MemoryFile()
    server, first, second = memory.take(0), memory.take(1), memory.take(1)
    write(server, json.dumps({"state": "serving", "generation": 3}).encode(), requests_2xx=5, reloads=2, lag_0=1)
    write(first, requests_2xx=1, requests_5xx=1, pid=11, number=2, lag_0=1, lag_20=1)
    write(second, requests_2xx=10, pid=12, number=1)
    snapshot = Snapshot(memory.fd)
    state = snapshot.as_json()
    assert state["totals"]["requests"]["2xx"] == 16
    assert (state["totals"]["requests"]["5xx"], state["totals"]["reloads"]) == (1, 2)
    assert [worker["pid"] for worker in state["workers"]] == [12, 11]
    assert (state["lag"]["buckets"][0], state["lag"]["buckets"][-1], state["lag"]["count"]) == (
        (BOUNDS[0], 2), (BOUNDS[-1], 2), 3)
    assert (state["server"]["state"], state["server"]["generation"]) == ("serving", 3)
    assert not snapshot.stuck
    assert not snapshot.is_ready, "both workers boot"


def test_snapshot_without_any_slot() -> None:
    state = Snapshot(MemoryFile().fd).as_json()
    assert (state["workers"], state["server"]["state"], state["request_time"]["count"]) == ([], "starting", 0)


def test_document_that_was_written_in_part_is_ignored() -> None:
    memory = MemoryFile()
    memory.take(0)
    write(memory.take(1), b'{"in_flight_requests": [{"meth', pid=1)
    (worker,) = Snapshot(memory.fd).as_json()["workers"]
    assert worker["in_flight_requests"] == []


def publisher(requests: int, path: str = "/", peer: str = "192.0.2.1") -> tuple[Publisher, Slot, Any]:
    """A publisher for a server with so many requests in flight, its slot and the server."""
    active = {}
    for number in range(requests):
        response = SimpleNamespace(started=float(number), req=SimpleNamespace(method="GET", path=path))
        active[Waiting()] = SimpleNamespace(
            response=response, peer_name=peer, taken_over=False, is_closed=False)
    server: Any = SimpleNamespace(
        counters=Counters(), hub=SimpleNamespace(native_lock=Lock), limits=SimpleNamespace(
            shed=1, timed_out=2, overdue=[]), clients=SimpleNamespace(count=3), connection_count=5, waiting_count=4,
        greenlets=SimpleNamespace(active=active, count=requests, total=requests + 1), measures_hub_time=False,
        runs=SimpleNamespace(figures=lambda: {"background_running_spawn": 1}))
    watchdog: Any = SimpleNamespace(block_count=0, recent_blocks=list)
    slot = MemoryFile().take(1)
    state: Any = SimpleNamespace(slot=slot)
    return Publisher(server, watchdog, state, {"pid": 9.0}), slot, server


class Waiting:
    """As much of a greenlet as a publisher uses."""

    gr_frame = None


class Lock:
    def acquire(self, blocking: bool) -> bool:
        return not blocking

    def release(self) -> None:
        pass


def test_status_classes() -> None:
    publish, slot, server = publisher(0)
    for status in (101, 200, 204, 302, 404, 404, 500, 599, 600, 999, 0):
        server.counters.statuses[status] += 1
    publish.publish(None)
    figures = load(slot)
    assert [figures[name] for name in COUNTERS[:6]] == [1, 2, 1, 2, 2, 3]
    assert (figures["shed"], figures["timed_out"], figures["client_gone"], figures["pid"]) == (1, 2, 3, 9)
    assert figures["rss"] > 1_000_000


def test_oldest_requests_are_listed() -> None:
    publish, slot, _ = publisher(REQUESTS + 10)
    publish.publish(None)
    requests = json.loads(slot.document)["in_flight_requests"]
    assert len(requests) == REQUESTS
    assert [request["age"] for request in requests] == sorted((request["age"] for request in requests), reverse=True)
    assert load(slot)["in_flight"] == REQUESTS + 10


@pytest.mark.parametrize("path", ["/" + "x" * 10000, "/" + "\U0001f600" * 10000, "/\udcff" * 5000, '/"\\\x00' * 5000])
def test_document_fits_whatever_clients_send(path: str) -> None:
    publish, slot, _ = publisher(1000, path, peer="p" * 100)
    publish.publish(None)
    assert len(slot.document) <= DOCUMENT_SIZE
    assert len(json.loads(slot.document)["in_flight_requests"]) >= STACKS


def test_error_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    publish, _, server = publisher(0)
    del server.limits.shed
    publish.publish(None)
    publish.publish(None)
    assert capfd.readouterr().err.count("AttributeError") == 1


def test_metrics_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_server, "find_spec", lambda name: None)
    handler: Any = None
    status, _, body = status_server._metrics(handler)
    assert (status, body) == (501, b"prometheus_client is not installed: pip install 'gworkers[metrics]'\n")
