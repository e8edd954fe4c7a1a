"""The multiprocess mode of prometheus_client with the slots of workers, as docs/worker-numbers.md shows it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.paths import ROOT
from support.server import Server
from support.waiting import until, until_gone

#: The two blocks of code of the page: for the application, and for gunicorn.conf.py.
SECTION = (ROOT / "docs" / "worker-numbers.md").read_text().partition("## Metrics of the application\n")[2]
APPLICATION, CONFIG = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)[:2]

METRICS = """
from app_support import answer
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, multiprocess
counted = Counter("asked", "Requests.")
living = Gauge("living", "Processes.", multiprocess_mode="livesum")
living.set(1)
def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return answer(start_response, generate_latest(registry))
    counted.inc()
    return answer(start_response)
"""


@pytest.mark.library("prometheus_client", area="Monitoring",
                     note="See [metrics of the application](worker-numbers.md#metrics-of-the-application).")
def test_metrics_of_all_workers_are_added(start: Callable[..., Server], tmp_path: Path) -> None:
    """The metrics of two workers are added in its multiprocess mode, and reloads leave no files behind."""
    deployment = Deployment(tmp_path)
    directory = tmp_path / "metrics"
    directory.mkdir()
    deployment.release(APPLICATION + METRICS)
    server = start("deployed:app", *deployment.options, config=CONFIG, workers=2,
                   env={"PROMETHEUS_MULTIPROC_DIR": str(directory)})
    asked = 0
    for _ in range(2):
        workers = server.worker_pids()
        for _ in range(5):
            assert server.connect().request("/").status == 200
            asked += 1
        server.signal(signal.SIGHUP)
        until_gone(*workers)
    client = server.connect()
    assert f"asked_total {asked}.0\n" in client.request("/metrics").text
    # The hook child_exit is called after the process is gone.
    until(lambda: "living 2.0\n" in client.request("/metrics").text, "the gauges of two processes")
    assert len(list(directory.glob("counter_*.db"))) <= 4
    assert len(list(directory.glob("gauge_*.db"))) <= 4
    assert not server.log(r"\[unpatched")
