"""Cron expressions and watched files."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.gunicorn_differences import RELEASE
from support.deployment import Deployment
from support.server import Server
from support.waiting import until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

CRON = """
from gworkers import background

@background.cron("* * * * * *")
def tick():
    say(f"tick {os.getpid()} {time.time()}")
"""
WATCH = """
from gworkers import background

@background.on_file_change({path!r})
def changed():
    say(f"changed in {{os.getpid()}}")
"""

PRELOADED = """
from gworkers import background

def report(name):
    say(f"{{name}} in {{os.getpid()}}")

@background.timer(0.2)
def timer():
    report("timer")
    background.send("signal")

@background.signal("signal")
def signal(payload):
    report("signal")

@background.cron("* * * * * *")
def cron():
    report("cron")

@background.on_file_change({path!r})
def changed():
    report("file")
"""


def ticks(server: Server) -> list[float]:
    return [float(line.split()[2]) for line in server.log("^tick ")]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="cronsim 2.6 for Python 3.9 knows no seconds")
def test_cron_runs_once_in_each_second(start: Start, deployment: Deployment) -> None:
    deployment.release(CRON)
    server = start("deployed:app", *deployment.options, workers=2)
    old = server.worker_pids()
    server.wait_for_log("^tick ")
    server.signal(signal.SIGHUP)
    until_gone(*old)
    server.wait_for_log("^tick ", count=len(ticks(server)) + 1)
    seconds = [int(time) for time in ticks(server)]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    pytest.importorskip("watchfiles")
    directory = tmp_path / "watched"
    directory.mkdir()
    return directory / "file"


def test_change_of_a_file_starts_the_handler_in_one_worker(start: Start, deployment: Deployment,
                                                           watched: Path) -> None:
    deployment.release(WATCH.format(path=str(watched)))
    server = start("deployed:app", *deployment.options, workers=2)
    server.ask()
    for number, change in enumerate((lambda: watched.write_text("1"), lambda: replace(watched), watched.unlink), 1):
        change()
        server.wait_for_log("^changed in", count=number)
    assert len(server.log("^changed in")) == 3


def replace(path: Path) -> None:
    """Replace a file as most editors do."""
    draft = path.with_suffix(".draft")
    draft.write_text("2")
    draft.replace(path)


@pytest.mark.full
def test_change_below_a_directory_starts_the_handler(start: Start, deployment: Deployment, watched: Path) -> None:
    inner = watched / "inner"
    inner.mkdir(parents=True)
    deployment.release(WATCH.format(path=str(watched)))
    server = start("deployed:app", *deployment.options)
    server.ask()
    (inner / "new").write_text("1")
    server.wait_for_log("^changed in")


@pytest.mark.full
def test_change_while_no_worker_watches_is_noticed(start: Start, deployment: Deployment, watched: Path) -> None:
    watched.write_text("1")
    deployment.release(WATCH.format(path=str(watched)))
    server = start("deployed:app", *deployment.options)
    old = server.ask()["pid"]
    watched.write_text("22")
    server.wait_for_log(f"^changed in {old}$")
    deployment.hold()
    os.kill(old, signal.SIGKILL)
    new, = deployment.booting(1, but={old})
    watched.write_text("333")
    deployment.let_go()
    server.wait_for_log(f"^changed in {new}$")
    assert not re.search("cannot be watched", "\n".join(server.log()))


@pytest.mark.full
@pytest.mark.every_hub
@pytest.mark.skipif(sys.version_info < (3, 10), reason="cronsim 2.6 for Python 3.9 knows no seconds")
def test_handlers_of_a_preloaded_application_run_in_the_workers(start: Start, deployment: Deployment, hub: str,
                                                                watched: Path) -> None:
    deployment.release(PRELOADED.format(path=str(watched)))
    patch = {"gevent": "from gevent import monkey; monkey.patch_all()",
             "eventlet": f"import eventlet; eventlet.monkey_patch({'os=False' if RELEASE < (24,) else ''})"}[hub]
    server = start("deployed:app", *deployment.options, "--preload", config=f"{patch}\n", workers=2)
    old = server.worker_pids()
    for name in ("timer", "signal", "cron"):
        server.wait_for_log(rf"^{name} in ({old[0]}|{old[1]})$")
    watched.write_text("1")
    server.wait_for_log(rf"^file in ({old[0]}|{old[1]})$")
    server.signal(signal.SIGHUP)
    until_gone(*old)
    for name in ("timer", "signal", "cron"):
        server.wait_for_log(rf"^{name} in (?!{old[0]}|{old[1]})", since=len(server.lines))
    assert not server.log(rf" in {server.pid}$")
