"""Server hooks: the time, the process and the arguments of each call."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.server import Server
from support.waiting import is_alive

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


#: Imports os.write before the patch: eventlet's version may switch, which is not allowed in some hooks.
SAY = """
import json, os
from os import write
def say(hook, **more):
    write(2, b"hook %s\\n" % json.dumps(dict(more, hook=hook, pid=os.getpid())).encode())
"""

#: All hooks of the master and the worker. Each logs its arguments.
LIFE = SAY + """
def on_starting(server): say("on_starting", server=server.pid, listeners=len(server.LISTENERS))
def when_ready(server): say("when_ready", server=server.pid, listeners=len(server.LISTENERS))
def on_reload(server): say("on_reload", server=server.pid)
def on_exit(server): say("on_exit", server=server.pid)
def nworkers_changed(server, new, old): say("nworkers_changed", new=new, old=old)
def pre_fork(server, worker): say("pre_fork", server=server.pid, age=worker.age, worker=worker.pid)
def post_fork(server, worker): say("post_fork", server=server.pid, age=worker.age, worker=worker.pid)
def post_worker_init(worker): say("post_worker_init", age=worker.age, worker=worker.pid, alive=worker.alive,
                                  wsgi=worker.wsgi.__name__, app=worker.app.callable.__name__, ppid=worker.ppid)
def worker_int(worker): say("worker_int", worker=worker.pid)
def worker_abort(worker): say("worker_abort", worker=worker.pid)
def worker_exit(server, worker): say("worker_exit", server=server.pid, worker=worker.pid, nr=worker.nr)
def child_exit(server, worker): say("child_exit", server=server.pid, worker=worker.pid)
def pre_exec(server): say("pre_exec", server=server.pid)
"""


def records(server: Server, hook: str = "") -> list[dict[str, Any]]:
    """The records that all hooks, or *hook*, have logged since the start."""
    records = [json.loads(line[len("hook "):]) for line in server.log("^hook ", since=0)]
    return [record for record in records if hook in ("", record["hook"])]


@pytest.mark.smoke
def test_hooks_of_a_start_and_a_stop_are_called_in_order(start: Start) -> None:
    server = start("probe:app", config=LIFE, workers=2)
    workers = server.worker_pids()
    assert server.connect().request().status == 200
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0

    names = [record["hook"] for record in records(server)]
    assert names[:3] == ["nworkers_changed", "on_starting", "when_ready"]
    assert names[-1] == "on_exit"
    assert [(record["new"], record["old"]) for record in records(server, "nworkers_changed")] == [(2, None)]
    in_master = ["nworkers_changed", "on_starting", "when_ready", "pre_fork", "child_exit", "on_exit"]
    in_worker = ["post_fork", "post_worker_init", "worker_exit"]
    for hook in in_master:
        assert {record["pid"] for record in records(server, hook)} == {server.pid}, hook
    for hook in in_worker:
        assert {record["pid"] for record in records(server, hook)} == set(workers), hook
        assert all(record["worker"] == record["pid"] for record in records(server, hook)), hook
    for record in records(server):
        assert record.get("server", server.pid) == server.pid

    assert [record["listeners"] for record in records(server, "on_starting") + records(server, "when_ready")] == [0, 1]
    assert [(record["age"], record["worker"]) for record in records(server, "pre_fork")] == [
        (1, "[booting]"), (2, "[booting]")]
    assert sorted(record["age"] for record in records(server, "post_fork")) == [1, 2]
    for record in records(server, "post_worker_init"):
        assert (record["alive"], record["wsgi"], record["app"], record["ppid"]) == (True, "app", "app", server.pid)
    assert sorted(record["nr"] for record in records(server, "worker_exit")) == [0, 1]
    assert sorted(record["worker"] for record in records(server, "child_exit")) == sorted(workers)


def test_hooks_of_a_reload_are_called(start: Start) -> None:
    server = start("probe:app", config=LIFE)
    old = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    server.wait_for_log('^hook .*"child_exit"')
    assert [record["pid"] for record in records(server, "on_reload")] == [server.pid]
    assert [record["worker"] for record in records(server, "child_exit")] == old
    assert [record["age"] for record in records(server, "post_worker_init")] == [1, 2]
    assert server.connect().request().status == 200


def test_nworkers_changed_is_called(start: Start) -> None:
    server = start("probe:app", config=LIFE)
    server.signal(signal.SIGTTIN)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    server.signal(signal.SIGTTOU)
    server.wait_for_log('^hook .*"child_exit"')
    assert [(record["new"], record["old"]) for record in records(server, "nworkers_changed")] == [
        (1, None), (2, 1), (1, 2)]
    assert len(server.worker_pids()) == 1


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_worker_int_is_called(start: Start, number: int) -> None:
    server = start("probe:app", config=LIFE)
    (old,) = server.worker_pids()
    os.kill(old, number)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert [(record["pid"], record["worker"]) for record in records(server, "worker_int")] == [(old, old)]
    assert [record["worker"] for record in records(server, "worker_exit")] == [old]


def test_worker_int_is_called_before_the_application_is_loaded(start: Start, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, sys, time\nfrom probe import app\nprint('loading', file=sys.stderr, flush=True)\n"
        "while not os.path.exists('go'):\n    time.sleep(0.01)\n")
    server = start("slow:app", "--chdir", tmp_path, config=LIFE, ready=False)
    server.wait_for_log("^loading$")
    (booting,) = {record["pid"] for record in records(server, "post_fork")}
    os.kill(booting, signal.SIGQUIT)
    server.wait_for_log('^hook .*"worker_int"')
    (tmp_path / "go").touch()
    server.wait_for_log(r"^worker \d+ is ready$")
    assert records(server, "worker_int")[0]["worker"] == booting
    assert not is_alive(booting)


def test_post_worker_init_may_wrap_the_application(start: Start) -> None:
    config = """
def post_worker_init(worker):
    inner = worker.wsgi
    def outer(environ, start_response):
        environ["HTTP_X_WRAPPED"] = "yes"
        return inner(environ, start_response)
    worker.wsgi = outer
"""
    assert json.loads(start("echo:app", config=config).connect().request().body)["HTTP_X_WRAPPED"] == "yes"


def test_failing_worker_hook_stops_the_start(start: Start) -> None:
    # As in Gunicorn, a worker whose post_worker_init fails cannot boot, which stops the server.
    config = "def post_worker_init(worker):\n    raise ValueError('no such thing')\n"
    server = start("probe:app", config=config, ready=False)
    assert server.wait_for_exit() == 3
    assert "no such thing" in server.expect_traceback("ValueError: no such thing")
    assert server.log("Reason: Worker failed to boot.")
