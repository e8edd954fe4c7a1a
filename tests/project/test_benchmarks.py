"""``python -m benchmarks`` without its installations: names, saved results, limits for stops and reloads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import gunicorn
import pytest

from benchmarks import boot, environments, reload_leaks, stop
from benchmarks.deployment import Engine
from benchmarks.footprint import Footprint
from benchmarks.measurement import Processors
from benchmarks.peers import PEERS
from benchmarks.scenarios import run_scenario
from support.launch import WORKERS
from support.paths import ROOT

pytestmark = pytest.mark.skipif(sys.version_info < (3, 10), reason="the benchmarks need Python 3.10")

PROGRAMS = Path(sysconfig.get_path("scripts"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="a footprint is read from /proc")
#: The benchmarks start Gunicorn with an option for its control socket.
control_socket = pytest.mark.skipif(gunicorn.version_info < (25, 1), reason="this Gunicorn has no control socket")

NAMES = """
import json
from benchmarks.peers import PEERS
from benchmarks.scenarios import SCENARIOS
from benchmarks.workloads import WORKLOADS
print(json.dumps([*PEERS, *SCENARIOS, *WORKLOADS]))
"""


def python(*words):
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=60)


def reading(rate, **more):
    return {"rate": rate, "p50": 1.25, "p99": 23.4, "busy": 0.5, "cost": 80.0, "starved": False, "errors": {}, **more}


@pytest.fixture
def saved(tmp_path):
    """Return a function that writes results like an earlier run."""
    def save(readings, failures=()):
        path = tmp_path / "results.json"
        path.write_text(json.dumps({"machine": {}, "rounds": 3, "seconds": 1, "readings": readings,
                                    "failures": dict(failures)}))
        return path

    return save


def row(shown, title):
    """The words after the title in the only line that starts with it and has numbers."""
    (line,) = (line for line in shown.stdout.splitlines() if line.startswith(f"  {title}  "))
    return line.split(title)[1].split()


def test_list_shows_all_names():
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
    # Medians, and the median of the ratios of the rounds.
    assert row(shown, "gworkers gevent") == ["4,000", "1.25", "23", "80.0", "3.00"]
    assert row(shown, "gunicorn gevent") == ["1,500", "1.25", "23", "80.0", "1.00"]
    assert shown.stdout.index("gworkers gevent") < shown.stdout.index("gunicorn gevent  ")


def test_show_reports_failures(saved):
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
    assert "apache is unknown; known are gworkers-gevent, " in refused.stderr


#: A program that uses more of each resource when asked to.
GROWING_PROGRAM = """
import mmap, os, sys, tempfile
print("ready", flush=True)
sys.stdin.readline()
used = open(os.devnull), mmap.mmap(-1, 1), b"x" * 2**23, tempfile.NamedTemporaryFile(dir="/dev/shm")
if os.fork():
    print("done", flush=True)
    sys.stdin.read()
    os.wait()
else:
    sys.stdin.read()
    os._exit(0)
"""


@linux
def test_leftovers_of_reloads_are_reported():
    with subprocess.Popen([sys.executable, "-c", GROWING_PROGRAM], text=True, start_new_session=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        before = Footprint.of(program.pid)
        program.stdin.write("go\n")
        program.stdin.flush()
        program.stdout.readline()
        after = Footprint.of(program.pid)
        processes, descriptors, mappings, files, memory = reload_leaks.leaks(before, after)
        program.communicate()
    assert processes == "processes grew from 1 to 2"
    assert descriptors == f"descriptors grew from {before.descriptors} to {before.descriptors + 2}"
    assert mappings == f"mappings grew from {before.mappings} to {before.mappings + 1}"
    assert files.startswith("new files in /dev/shm, ")
    assert memory.startswith(f"memory grew from {before.memory:,} to ")
    assert reload_leaks.leaks(before, before) == []


@linux
@pytest.mark.full
def test_reloads_leave_no_processes_and_descriptors(hub, monkeypatch):
    monkeypatch.setattr(reload_leaks, "WARM_UP", 1)
    survey = reload_leaks.Survey()
    scenario = replace(reload_leaks.leak_scenario(survey, 2), clients=8)
    outcome = asyncio.run(run_scenario(scenario, Engine(PROGRAMS / "gunicorn", WORKERS[hub]), "tcp"))
    assert outcome.flawless, "\n".join([outcome.problem, *outcome.tally.incidents, *outcome.output])
    assert survey.before.processes == 1 + scenario.workers
    # Memory growth shows only after more reloads, and /dev/shm is shared with other processes.
    left = replace(survey.after, memory=survey.before.memory, files=survey.before.files)
    assert reload_leaks.leaks(survey.before, left) == []


@pytest.fixture
def stops(tmp_path, monkeypatch, hub):
    """The arguments of a measured stop: the server, the directory of its programs, and no pinned processor."""
    monkeypatch.setattr(environments, "CACHE", tmp_path)
    yield PEERS[f"gworkers-{hub}"], PROGRAMS, Processors(None, None)
    assert "Shutting down: Master" in (tmp_path / "server.log").read_text().splitlines()[-1]


@control_socket
def test_stop_with_idle_connections_is_measured(stops):
    peer, programs, processors = stops
    # Idle connections stay open for two seconds. Without one the stop would take no time.
    assert stop.with_idle(peer, programs, 20, processors) > 1


@control_socket
def test_stop_waits_for_the_last_request(stops):
    # It raises ServerFailed if the request that runs at SIGTERM is not answered.
    assert stop.after_request(*stops) >= 0


@control_socket
@pytest.mark.parametrize("without_checks", [False, True])
def test_boot_is_measured_with_and_without_the_checks(hub, without_checks):
    # It raises RuntimeError if the worker does not start.
    assert boot.boot_seconds(PEERS[f"gworkers-{hub}"], PROGRAMS, without_checks=without_checks) > 0


def test_slow_stop_is_reported():
    assert stop.exceeded_limits(stop.WITH_IDLE, stop.AFTER_REQUEST) == ""
    assert stop.exceeded_limits(3.0, 0.1) == "3.00 s with idle connections; the limit is 2.5 s"
    assert stop.exceeded_limits(2.1, 0.5) == "0.50 s after the last request; the limit is 0.3 s"
