"""``python -m benchmarks soak``: a very short run, and its limits."""

from __future__ import annotations

import asyncio
import sys
import sysconfig
from array import array
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import hostile, soak, soak_report
from benchmarks.checking_clients import CheckingClients, Record
from benchmarks.clients import whole_body
from benchmarks.resources import Resources
from support.launch import WORKERS

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason="the benchmarks need Python 3.10")

GUNICORN = Path(sysconfig.get_path("scripts")) / "gunicorn"
RESOURCES = Resources(
    workers=frozenset([2, 3]), processes=3, master_memory=30_000, master_descriptors=10, memory=80_000, descriptors=40,
    greenlets=10, connections=19, closed=0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resources of processes are read from /proc")
@pytest.mark.full
def test_short_soak_passes(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "SETTLE", 0.5)
    command = [str(GUNICORN), "--config", "soak_config.py", "--worker-class", WORKERS[hub]]
    outcome = asyncio.run(soak.soak(command, 6, tmp_path / "log"))
    log_text = (tmp_path / "log").read_text()
    assert outcome.problem == "", log_text
    for record in outcome.records.values():
        assert record.ok
        assert record.failed == 0, [*record.incidents, log_text]
    total = soak_report.done(outcome)
    assert all(total[kind.name] for kind in hostile.KINDS)
    assert outcome.reloads == 2
    assert [len(snapshot.workers) for snapshot in outcome.snapshots] == [2, 2, 2]
    assert outcome.stop is not None
    assert "GET, kept connections" in soak_report.render(outcome)
    assert log_text.splitlines()[-1].endswith("Shutting down: Master")


def outcome(**more):
    """An outcome without a fault, updated with *more*."""
    records = {"GET": Record(ok=100, waits=array("d", [0.01] * 100), lags=array("d", [0.001] * 100), workers={2, 3})}
    reports = [hostile.Report(Counter({kind.name: 1 for kind in hostile.KINDS}))]
    later = replace(RESOURCES, workers=frozenset([4, 5]), at=1.0)
    return soak.Outcome(**{"records": records, "reports": reports, "snapshots": [RESOURCES, later, later], "reloads": 1,
                           "stop": 0.5, **more})


def test_good_outcome_has_no_faults():
    assert soak_report.faults(outcome()) == []


def test_cpu_time_is_reported():
    before, after = replace(RESOURCES, at=10.0, ran=1.0, waited=0.5), replace(RESOURCES, at=20.0, ran=4.0, waited=1.0)
    shown = soak_report.render(outcome(snapshots=[RESOURCES, before, after]))
    assert "used a processor for 30% of the time and waited for one for 5%" in shown


def test_failed_request_is_a_fault():
    (found,) = soak_report.faults(outcome(records={"GET": Record(ok=1, wrong=1)}))
    assert found == "GET: 1 requests failed: lost 0, raced 0, refused 0, status 0, wrong 1"


def test_long_waits_are_a_fault():
    waits = array("d", [0.01] * 98 + [0.5] * 2)
    (found,) = soak_report.faults(outcome(records={"GET": Record(ok=100, waits=waits)}))
    assert found == "the 99th percentile of the waits is 500 ms; it must be below 100 ms"
    lags = array("d", [0.4] * 100)
    (found,) = soak_report.faults(outcome(records={"GET": Record(ok=100, waits=waits, lags=lags)}))
    assert found.endswith("; the clients were late themselves, so the server may not be the cause")


@pytest.mark.parametrize(("name", "later", "found"), [
    ("descriptors", 60, "descriptors grew from 40 to 60"),
    ("greenlets", 100, "greenlets grew from 10 to 100"),
    ("connections", 50, "connections grew from 19 to 50"),
    ("closed", 500, "closed grew from 0 to 500"),
    ("master_descriptors", 11, "master_descriptors grew from 10 to 11"),
    ("memory", 90_000, "memory grew from 80,000 to 90,000 KiB; the limit is 8,192 KiB more"),
    ("master_memory", 40_000, "master_memory grew from 30,000 to 40,000 KiB; the limit is 2,048 KiB more"),
])
def test_growth_is_a_fault(name, later, found):
    (middle, end) = outcome().snapshots[1:]
    (fault,) = soak_report.faults(outcome(snapshots=[RESOURCES, middle, replace(end, **{name: later})]))
    assert fault.endswith(found)


def test_worker_that_died_is_a_fault():
    other = replace(RESOURCES, workers=frozenset([4, 6]))
    (found,) = soak_report.faults(outcome(snapshots=[*outcome().snapshots[:2], other]))
    assert found == "the workers [4, 5] became [4, 6] without a reload"
    records = outcome().records
    records["GET"].workers = {2, 3, 4, 5, 6}
    (found,) = soak_report.faults(outcome(records=records))
    assert found == "5 workers have answered; with 1 reloads there are at most 4"


def test_reload_that_changed_nothing_is_a_fault():
    (found,) = soak_report.faults(outcome(snapshots=[RESOURCES, RESOURCES, RESOURCES]))
    assert found == "the workers [2, 3] have survived the reloads"


def test_success_of_a_hostile_client_is_a_fault():
    done = outcome().reports[0].done
    (found,) = soak_report.faults(outcome(reports=[hostile.Report(done, left_open=Counter(silent=2))]))
    assert found == "the server left 2 connections of this kind open: silent"
    (found,) = soak_report.faults(outcome(reports=[hostile.Report(done, http_on_websocket=1)]))
    assert found == "HTTP requests were answered on 1 WebSocket connections"
    del done["websocket"]
    (found,) = soak_report.faults(outcome(reports=[hostile.Report(done)]))
    assert found == "this kind of hostile load did not occur: websocket"


def test_incomplete_stop_is_a_fault():
    assert soak_report.faults(outcome(problem="not gone 60 s after TERM", stop=None)) == ["not gone 60 s after TERM"]


def test_wrong_response_is_detected():
    async def run():
        async def answer(reader, writer):
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1 another")
            except asyncio.IncompleteReadError:
                writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        clients = CheckingClients(server.sockets[0].getsockname())
        async with clients:
            record = clients.records["GET, kept connections"]
            while not record.wrong:
                await asyncio.sleep(0.001)
        server.close()
        return record

    record = asyncio.run(run())
    assert record.ok == 0
    assert "a wrong response" in record.incidents[0]


@pytest.mark.parametrize(("rest", "body"), [
    (b"", None),
    (b"3\r\nabc\r\n", None),
    (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
    (b"3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK", b"abcHTTP/1.1 200 OK"),
])
def test_chunks_are_read(rest, body):
    assert whole_body(b"http/1.1 200 ok\r\ntransfer-encoding: chunked", rest) == body


def test_broken_chunks_are_detected():
    with pytest.raises(ValueError, match="continues with"):
        whole_body(b"http/1.1 200 ok\r\ntransfer-encoding: chunked", b"3\r\nabcdef\r\n")
