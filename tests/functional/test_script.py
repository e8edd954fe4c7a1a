"""A script that starts a server with ``gworkers.serve``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.hubs import HUBS
from support.client import request
from support.script import APP, PATCHES, ScriptSetup, call
from support.server import Server
from support.waiting import WAIT_LIMIT, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Run = Callable[..., Server]


def fails(script: str, directory: Path) -> str:
    """What a script that cannot serve writes to stderr at last."""
    (directory / "script.py").write_text(script)
    result = subprocess.run([sys.executable, "script.py"], cwd=directory, capture_output=True, text=True,
                            timeout=WAIT_LIMIT, check=False)
    assert result.returncode == 1, result.stderr
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.smoke
@pytest.mark.every_hub
def test_script_serves_an_application_object(run_script: Run, hub: str) -> None:
    server = run_script(APP + call("app", hub))
    assert int(server.connect().request().body) in server.worker_pids()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


def test_words_and_variables_for_gunicorn_are_not_read(run_script: Run, hub: str) -> None:
    server = run_script(APP + call("app", hub), "--workers", "3", "-k", "sync", "--unknown",
                 env={"GUNICORN_CMD_ARGS": "--bind=127.0.0.1:1", "WEB_CONCURRENCY": "3", "PORT": "1"})
    assert server.connect().request().status == 200
    assert len(server.log("Booting worker", since=0)) == 1


@pytest.mark.every_hub
@pytest.mark.parametrize("app", ["app", "'slow:app'"])
def test_patched_script_serves_concurrently(run_script: Run, hub: str, app: str) -> None:
    waits = APP.replace("import os", "import os, threading\nbarrier = threading.Barrier(3)").replace(
        "    return", "    barrier.wait(20)\n    return")
    server = run_script(PATCHES[hub] + waits + f"open('slow.py', 'w').write({waits!r})\n" + call(app, hub))
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.send(request())
    assert [client.receive().status for client in clients] == [200] * 3
    assert server.log(r"\[(imported-too-early|early-greenlets)\]", since=0) == []


SPAWN = {"gevent": "import gevent; gevent.spawn(tick)\n", "eventlet": "import eventlet; eventlet.spawn(tick)\n"}


@pytest.mark.every_hub
def test_greenlet_that_the_script_has_started_is_reported(run_script: Run, hub: str) -> None:
    tick = "import time\ndef tick():\n    while True: time.sleep(1)\n"
    server = run_script(PATCHES[hub] + tick + SPAWN[hub] + "time.sleep(0)\n" + APP + call("app", hub))
    (line,) = server.log(r"\[early-greenlets\]$", since=0)
    assert "1 greenlet was started before the server (tick in script.py)" in line
    assert server.connect().request().status == 200


@pytest.mark.full
def test_script_that_is_not_patched_is_told_how(run_script: Run, hub: str) -> None:
    server = run_script("from time import sleep\n" + APP + call("app", hub))
    assert server.connect().request().status == 200
    (line,) = server.log(r"\[imported-too-early\]$", since=0)
    assert "script.py has time.sleep from before the patch" in line
    assert f"Begin script.py with: {HUBS[hub].master_patch_code}; or pass the application by its name" in line


def test_reload_replaces_workers_and_loads_a_named_application_again(run_script: Run, hub: str) -> None:
    server = run_script(f"open('named.py', 'w').write({APP!r})\n" + call("'named:app'", hub))
    (before,) = server.worker_pids()
    assert int(server.connect().request().body) == before
    (server.directory / "named.py").write_text(APP.replace("b\"%d\"", "b\"new %d\""))
    server.signal(signal.SIGHUP)
    until(lambda: server.worker_pids() != [before] and len(server.worker_pids()) == 1, "the workers are replaced")
    assert server.connect().request().body == b"new %d" % server.worker_pids()[0]


@pytest.mark.full
def test_reload_replaces_workers_of_an_application_object(run_script: Run, hub: str) -> None:
    server = run_script(APP + call("app", hub))
    (before,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: server.worker_pids() != [before] and len(server.worker_pids()) == 1, "the workers are replaced")
    assert int(server.connect().request().body) == server.worker_pids()[0]


class ModuleSetup(ScriptSetup):
    """A server that is a package with relative imports, started with ``python -m``."""

    def command(self, directory: Path) -> list[str]:
        package = directory / "site_package"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "application.py").write_text(APP)
        (package / "__main__.py").write_text(self.script)
        return [sys.executable, "-m", "site_package", *self.options]


@pytest.mark.full
@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 does not keep its arguments")
def test_second_master_is_the_same_module_with_the_same_words(hub: str) -> None:
    script = ("import sys\nfrom .application import app\nassert sys.argv[1:] == ['one', '--two']\n" + call("app", hub))
    server = Server(ModuleSetup(app="", script=script, hub=hub, options=("one", "--two"))).ready()
    try:
        server.signal(signal.SIGUSR2)
        second = int(server.wait_for_log(r"\[(\d+)\] \[INFO\] Starting gunicorn", count=2)[1])
        server.wait_for_log(r"^worker \d+ is ready$", count=2)
        server.signal(signal.SIGTERM)
        until(lambda: server.process.poll() is not None, "the end of the first master")
        assert int(server.connect().request().body) in server.worker_pids()
        os.kill(second, signal.SIGTERM)
        until_gone(second)
    finally:
        server.stop()


def test_end_of_a_worker_runs_exit_handlers_but_no_code_of_the_script(run_script: Run, hub: str) -> None:
    script = (APP + "import atexit\n@atexit.register\ndef say(): os.write(2, b'exit handler %d\\n' % os.getpid())\n"
              "try:\n    " + call("app", hub).replace("\n", "\n    ").strip()
              + "\nfinally:\n    os.write(2, b'finally %d\\n' % os.getpid())\n")
    server = run_script(script)
    (worker,) = server.worker_pids()
    os.kill(worker, signal.SIGTERM)
    server.wait_for_log(f"^exit handler {worker}$")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert server.log("^finally", since=0) == [f"finally {server.pid}"]


def test_script_without_a_guard_that_serves_itself_is_told_so(run_script: Run, hub: str) -> None:
    server = run_script(APP + call("'script:app'", hub), ready=False)
    server.wait_for_log(r"script:app cannot be loaded: RuntimeError: gworkers\.serve\(\) was called a second time")
    server.wait_for_log("Put the call below: if __name__ == '__main__'")
    assert server.wait_for_exit() != 0
    server.expect_traceback("RuntimeError")


def test_call_in_another_thread_is_refused(tmp_path: Path) -> None:
    script = (APP + "import gworkers, threading\n"
              "thread = threading.Thread(target=gworkers.serve, args=(app,))\n"
              "threading.excepthook = lambda told: (os.write(2, str(told.exc_value).encode()), os._exit(1))\n"
              "thread.start()\nthread.join()\n")
    assert fails(script, tmp_path).startswith("gworkers.serve() must be called in the main thread")


def test_call_in_a_greenlet_is_refused(tmp_path: Path) -> None:
    script = APP + "import gworkers, greenlet\ngreenlet.greenlet(gworkers.serve).switch(app)\n"
    assert "must be called in the main thread and outside of greenlets" in fails(script, tmp_path)
