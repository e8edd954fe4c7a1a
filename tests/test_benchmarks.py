"""``python -m benchmarks`` as far as it goes without loading anything: its names, and the table of a saved run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason="the benchmarks need Python 3.10")

ROOT = Path(__file__).parents[1]

NAMES = """
import json
from benchmarks.peers import PEERS
from benchmarks.scenes import SCENES
from benchmarks.workloads import WORKLOADS
print(json.dumps([*PEERS, *SCENES, *WORKLOADS]))
"""


def python(*words):
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=60)


def reading(rate, **more):
    return {"rate": rate, "p50": 1.25, "p99": 23.4, "busy": 0.5, "cost": 80.0, "starved": False, "errors": {}, **more}


@pytest.fixture
def saved(tmp_path):
    """A function that writes results as an earlier run would have saved them."""
    def save(readings, failures=()):
        path = tmp_path / "results.json"
        path.write_text(json.dumps({"machine": {}, "rounds": 3, "seconds": 1, "readings": readings,
                                    "failures": dict(failures)}))
        return path

    return save


def row(shown, title):
    """The words behind the title in the only line that starts with it and has figures."""
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith(f"  {title}  "))
    return line.split(title)[1].split()


def test_list_names_everything():
    listed = python("-m", "benchmarks", "--list")
    assert (listed.returncode, listed.stderr) == (0, "")
    first_words = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert first_words == json.loads(python("-c", NAMES).stdout)
    assert {"gworkers-gevent", "gworkers-eventlet", "hup", "hello"} <= set(first_words)


def test_show_prints_a_table(saved):
    path = saved({"hello": {
        "gunicorn-gevent": [reading(1000.0), reading(1500.0), reading(2000.0)],
        "gworkers-gevent": [reading(4000.0), reading(4500.0), reading(4000.0)],
    }})
    shown = python("-m", "benchmarks", "show", "--json", path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Hello, World (64 connections)" in shown.stdout
    # The medians; last the median of the rounds' ratios.
    assert row(shown, "gworkers gevent") == ["4,000", "1.25", "23", "80.0", "3.00"]
    assert row(shown, "gunicorn gevent") == ["1,500", "1.25", "23", "80.0", "1.00"]
    assert shown.stdout.index("gworkers gevent") < shown.stdout.index("gunicorn gevent  ")


def test_show_hides_no_failure(saved):
    path = saved({"hello": {
        "gunicorn-gevent": [reading(1000.0), None],
        "gworkers-gevent": [reading(4000.0, errors={"timeout": 7}), reading(4000.0, starved=True)],
    }}, {"gunicorn-gevent, hello": "it did not start"})
    shown = python("-m", "benchmarks", "show", "--json", path)
    assert shown.returncode == 1
    assert "FAILED gunicorn-gevent, hello: it did not start" in shown.stdout
    assert "FAILED 1 of 2 runs" in " ".join(row(shown, "gunicorn gevent"))
    assert "ERRORS timeout 7; STARVED a new connection in 1 of 2 runs" in " ".join(row(shown, "gworkers gevent"))


def test_unknown_name_is_refused():
    refused = python("-m", "benchmarks", "--servers", "apache")
    assert refused.returncode == 2
    assert "apache is not known; there are gworkers-gevent, " in refused.stderr
