"""Signals that change a running server: USR1, HUP, TTIN, TTOU, USR2, WINCH."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.held_request import HeldRequest
from support.server import Server
from support.waiting import WAIT_LIMIT, is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.mark.smoke
def test_usr1_reopens_the_logs(start: Start, tmp_path: Path) -> None:
    log, old = tmp_path / "access", tmp_path / "access.old"
    server = start("probe:app", "--access-logfile", log)
    client = server.connect()
    assert client.request("/variable?name=before").status == 200
    until(lambda: "before" in log.read_text(), "the access log")
    log.rename(old)
    server.signal(signal.SIGUSR1)

    def in_new_log() -> bool:
        assert client.request("/variable?name=after").status == 200
        return log.exists() and "after" in log.read_text()

    until(in_new_log, "a new access log")
    assert "before" not in log.read_text()
    assert len(server.worker_pids()) == 1


def test_usr1_while_a_worker_patches(start: Start, tmp_path: Path) -> None:
    """It does not serve yet, but has the log files open."""
    log, old, patching = tmp_path / "access", tmp_path / "access.old", tmp_path / "patching"
    (tmp_path / "prepared.py").write_text(
        "import os, time\nfrom pathlib import Path\ndef prepare(worker):\n"
        f"    patching = Path({str(patching)!r})\n    patching.write_text(str(os.getpid()))\n"
        "    while patching.exists():\n        time.sleep(0.01)\n")
    server = start("probe:app", "--access-logfile", log, "--chdir", tmp_path, ready=False,
                   settings={"post_patch": "prepared:prepare"})
    worker = int(until(lambda: patching.exists() and patching.read_text(), "a worker that patches"))
    log.rename(old)
    os.kill(worker, signal.SIGUSR1)
    server.signal(signal.SIGUSR1)
    server.wait_for_log("Handling signal: usr1")
    patching.unlink()
    assert server.ready().connect().request("/variable?name=after").status == 200
    until(lambda: log.exists() and "after" in log.read_text(), "a new access log")
    assert server.worker_pids() == [worker]


def test_hup_replaces_workers_and_reloads_the_configuration(start: Start) -> None:
    server = start("probe:app", config='raw_env = ["COLOUR=green"]\n')
    (old,) = server.worker_pids()
    assert server.ask("/variable?name=COLOUR") == "green"
    path = server.directory / "gunicorn.conf.py"
    path.write_text(path.read_text().replace("green", "red"))
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    until(lambda: not is_alive(old), "the end of the old worker")
    assert server.ask("/variable?name=COLOUR") == "red"
    assert server.process.poll() is None


def test_hup_lets_a_request_finish(start: Start, tmp_path: Path) -> None:
    server = start("probe:app")
    (old,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    held.let_go()
    assert held.answer()["pid"] == old
    until(lambda: not is_alive(old), "the end of the old worker")


def test_ttin_and_ttou(start: Start) -> None:
    server = start("probe:app")
    server.signal(signal.SIGTTIN)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert len(server.worker_pids()) == 2
    server.signal(signal.SIGTTOU)
    until(lambda: len(server.worker_pids()) == 1, "one worker")
    assert server.ask()["pid"] == server.worker_pids()[0]


def test_usr2_starts_a_new_master_on_the_same_listeners(start: Start, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    config = "from os import getpid, write\ndef pre_exec(server):\n    write(2, b'pre_exec in %d\\n' % getpid())\n"
    server = start("probe:app", "--pid", pidfile, config=config)
    server.signal(signal.SIGUSR2)
    new = int(server.wait_for_log(r"^pre_exec in (\d+)$")[1])
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    try:
        assert server.log(rf"Listening at: http://127\.0\.0\.1:{server.address[1]} \({new}\)$")
        until(lambda: Path(f"{pidfile}.2").exists(), "the new master's pidfile")
        server.signal(signal.SIGTERM)
        assert server.process.wait(WAIT_LIMIT) == 0
        assert server.ask()["parent"] == new
        until(lambda: pidfile.exists() and int(pidfile.read_text()) == new, "the pidfile of the new master")
    finally:
        with suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        until(lambda: not is_alive(new), "the end of the new master")


def test_winch_is_ignored(start: Start) -> None:
    server = start("probe:app")
    (worker,) = server.worker_pids()
    server.signal(signal.SIGWINCH)
    os.kill(worker, signal.SIGWINCH)
    assert server.ask()["pid"] == worker
