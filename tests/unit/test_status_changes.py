"""Rates and quantiles from two snapshots, and the text of figures."""

from __future__ import annotations

import math

import pytest

from gworkers.status.changes import changes, in_flight, last_blocks, quantile, silence
from gworkers.status.text import notable_frame, per_second, printable, seconds, size
from support.status_address import STACK, histogram, request_in_flight, state, worker


def at(time, *workers, **parts):
    snapshot = state(*workers, **parts)
    snapshot["server"]["now"] = time
    return snapshot


def test_rates_are_per_second():
    before = at(100.0, worker(1, requests=50), worker(2, requests=10))
    after = at(105.0, worker(1, requests=80), worker(2, requests=10))
    after["totals"]["requests"]["5xx"] += 30
    found = changes(before, after)
    assert found.rate == 6
    assert found.worker_rates == {(1, 4101): 6, (2, 4102): 0}


def test_new_process_in_a_slot_counts_from_zero():
    found = changes(at(100.0, worker(1, requests=5000)), at(102.0, worker(1, pid=77, requests=20)))
    assert found.worker_rates == {(1, 77): 10}


def test_one_snapshot_has_no_rate():
    found = changes(at(100.0, worker()), at(100.0, worker()))
    assert found.rate is None
    assert found.worker_rates == {(1, 4101): None}
    assert found.time == (None, None)


def test_quantiles_are_those_between_the_snapshots():
    before = at(1.0, request_time=histogram(1000, 0, 0, 0, 0))
    after = at(2.0, request_time=histogram(1000, 0, 100, 0, 0))
    median, p99 = changes(before, after).time
    assert 0.05 < median < 0.06
    assert 0.09 < p99 < 0.1


@pytest.mark.parametrize(("buckets", "q", "expected"), [
    ([], 0.5, None),
    ([(1, 0), (math.inf, 0)], 0.5, None),
    ([(1, 10), (2, 10), (math.inf, 10)], 0.5, 0.5),
    ([(1, 0), (2, 10), (math.inf, 10)], 0.5, 1.5),
    ([(1, 0), (2, 5), (math.inf, 10)], 0.99, 2),
    ([(1, 0), (2, 0), (math.inf, 10)], 0.5, 2),
])
def test_quantile(buckets, q, expected):
    assert quantile(buckets, q) == expected


def test_requests_of_all_workers_are_sorted_by_age():
    one = worker(1, published=3.0, in_flight_requests=[request_in_flight("/a", age=1.0)])
    two = worker(2, published=0.5, in_flight_requests=[request_in_flight("/b", age=5.0),
                                                       request_in_flight("/c", age=0.1)])
    assert [(request["path"], request["age"]) for request in in_flight(state(one, two))] == [
        ("/b", 5.5), ("/a", 4.0), ("/c", 0.6)]


def test_block_that_has_not_ended_lasts_until_now():
    block = {"seconds": 1.2, "worker": 1, "pid": 4101}
    snapshot = at(100.0, worker(1, blocked=4.0), worker(2), blocks=[
        {**block, "at": 50.0}, {**block, "at": 97.2}, {**block, "at": 98.0, "pid": 4102}])
    assert [(each["at"], each["seconds"], each["lasts"]) for each in last_blocks(snapshot)] == [
        (98.0, 1.2, False), (97.2, 4.0, True), (50.0, 1.2, False)]


@pytest.mark.parametrize(("fields", "expected"), [
    ({"published": 0.4}, 0), ({"published": 7}, 7), ({"published": None}, 0),
    ({"published": 7, "phase": "booting"}, 0)])
def test_silence(fields, expected):
    assert silence(worker(**fields)) == expected


@pytest.mark.parametrize(("value", "text"), [
    (None, "-"), (0, "0 s"), (0.0004, "0.4 ms"), (0.0213, "21 ms"), (0.99951, "1.0 s"), (61.04, "61.0 s"),
    (600, "10 min"), (7200, "2.0 h"), (864000, "10 days")])
def test_seconds(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (50 << 20, "50 MiB"), (2 << 40, "2.0 TiB")])
def test_size(value, text):
    assert size(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0"), (0.25, "0.2"), (12.3, "12"), (12345, "12,345")])
def test_per_second(value, text):
    assert per_second(value) == text


def test_control_characters_are_escaped():
    assert printable("/a\x1b]0;x\x07\r\n\u202eb\x9b1m\udc80ü") == r"/a\x1b]0;x\x07\r\n\u202eb\x9b1m\udc80ü"


@pytest.mark.parametrize(("stack", "expected"), [
    (None, []), ("", []), (STACK, ["/srv/shop/payments.py:34 in pay"]),
    ("/usr/lib/python3.11/threading.py:1 in run\n/usr/lib/python3.11/random.py:2 in shuffle",
     ["/usr/lib/python3.11/random.py:2 in shuffle"])])
def test_notable_frame_is_that_of_the_application(stack, expected):
    assert notable_frame(stack) == expected
