"""docs/status.md lists every metric, with its type and its labels."""

from __future__ import annotations

import re

import pytest

from gworkers.shared_memory import MemoryFile
from gworkers.status.figures import store
from gworkers.status.snapshot import Snapshot
from support.paths import ROOT

PAGE = (ROOT / "docs" / "status.md").read_text()


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of each metric on the page, without the suffix of counters."""
    rows = re.findall(r"^\| `(gworkers_\w+)` \| (\w+) \| (.*?) ?\| \S.*\|$", PAGE, re.MULTILINE)
    found = {name.removesuffix("_total"): (kind, frozenset(re.findall(r"`(\w+)`", labels)))
             for name, kind, labels in rows}
    assert len(found) == len(rows)
    assert all(name.endswith("_total") == (kind == "counter") for name, kind, _ in rows)
    return found


def test_each_metric_is_documented() -> None:
    pytest.importorskip("prometheus_client")
    from gworkers.status.exposition import Collector

    memory = MemoryFile()
    memory.take(0).set_document(b'{"accept_queue": [{"address": "a", "length": 0, "limit": 1}]}')
    worker = memory.take(1)
    with worker.writing():
        store(worker, {"pid": 1, "number": 1})
    metrics = {}
    for metric in Collector(Snapshot(memory.fd)).collect():
        labels = frozenset(label for sample in metric.samples for label in sample.labels)
        metrics[metric.name] = metric.type, labels - {"le"}
    assert documented() == metrics


def test_each_figure_of_statsd_is_documented() -> None:
    from gworkers.master import statsd

    sent = {"gworkers.workers", "gworkers.hub.lag_ms", *statsd.GAUGES.values(), *statsd.COUNTERS.values()}
    assert set(re.findall(r"`(gworkers\.[a-z]+(?:\.[a-z_]+)?)`", PAGE)) >= sent
