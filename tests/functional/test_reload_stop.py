"""A server is told to stop while it reloads, and processes die during a reload."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import ClosedError
from support.deployment import Deployment
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

STOPS = [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT]

#: Seconds within which a server without running requests stops. All timeouts in these tests are far longer.
PROMPT = 10.0


def assert_stops(server: Server, number: int) -> None:
    workers = server.worker_pids()
    started = time.monotonic()
    server.signal(number)
    assert server.wait_for_exit(PROMPT * 3) == 0
    assert time.monotonic() - started < PROMPT
    until(lambda: not any(map(is_alive, workers)), "the end of the workers")


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.smoke
def test_stop_while_the_new_generation_boots(start: Start, deployment: Deployment, number: int) -> None:
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, workers=2)
    old = set(server.worker_pids())
    deployment.hold()
    server.signal(signal.SIGHUP)
    new = deployment.booting(2, but=old)
    assert_stops(server, number)
    assert not any(map(is_alive, new))


HELD_AFTER_FORK = """
import os, time
def post_fork(server, worker):
    open({forked!r}, "w").close()
    while not os.path.exists({go!r}):
        time.sleep(0.01)
"""


@pytest.mark.parametrize("number", STOPS)
def test_stop_directly_after_a_fork(start: Start, deployment: Deployment, tmp_path: Path, number: int) -> None:
    """The worker has the master's signal handlers then, so it finds the order in the shared memory."""
    forked, go = tmp_path / "forked", tmp_path / "go"
    config = HELD_AFTER_FORK.format(forked=str(forked), go=str(go))
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, ready=False, config=config)
    until(forked.exists, "the fork of a worker")
    server.signal(number)
    server.wait_for_log("Handling signal")
    started = time.monotonic()
    go.touch()
    assert server.wait_for_exit(PROMPT * 3) == 0
    assert time.monotonic() - started < PROMPT
    assert deployment.boots() == set()


@pytest.mark.parametrize("number", STOPS)
def test_stop_while_the_first_generation_boots(start: Start, deployment: Deployment, number: int) -> None:
    deployment.hold()
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, workers=2, ready=False)
    new = deployment.booting(2, but=set())
    assert_stops(server, number)
    assert not any(map(is_alive, new))


UNSTOPPABLE = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
(here / "blocks signals").touch()
while not (here / "fails").exists():
    time.sleep(0.01)
raise LookupError("deliberate")
"""


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.log_handler(locked="the worker ends while its line waits for the lock")
def test_stop_while_the_first_worker_is_about_to_fail(start: Start, deployment: Deployment, tmp_path: Path,
                                                 number: int) -> None:
    deployment.release(UNSTOPPABLE)
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, ready=False)
    until((tmp_path / "deployment" / "blocks signals").exists, "a worker that blocks signals")
    server.signal(number)
    server.wait_for_log("Handling signal: ")
    (tmp_path / "deployment" / "fails").touch()
    assert server.wait_for_exit() == 0
    server.expect_traceback("LookupError: deliberate")


def hanging_dry_run(server: Server, tmp_path: Path) -> int:
    path = server.directory / "gunicorn.conf.py"
    path.write_text("import os, time\nfrom pathlib import Path\n"
                    f"Path({str(tmp_path / 'dry run')!r}).write_text(str(os.getpid()))\ntime.sleep(3600)\n")
    server.signal(signal.SIGHUP)
    dry_run = int(until(lambda: (tmp_path / "dry run").exists() and (tmp_path / "dry run").read_text(), "a dry run"))
    assert server.connect().request().status == 200
    return dry_run


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.smoke
def test_stop_while_a_dry_run_hangs(start: Start, tmp_path: Path, number: int) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    dry_run = hanging_dry_run(server, tmp_path)
    assert_stops(server, number)
    assert not is_alive(dry_run)


def test_stop_after_many_signals(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    dry_run = hanging_dry_run(server, tmp_path)
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGWINCH) * 3:
        server.signal(number)
    assert_stops(server, signal.SIGTERM)
    assert not is_alive(dry_run)


def test_term_while_the_old_worker_drains(start: Start, tmp_path: Path) -> None:
    """The server waits for the running request, and for nothing else."""
    server = start("probe:app", "--graceful-timeout", 60)
    (old,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGHUP)
    until(lambda: set(server.worker_pids()) - {old}, "the new worker")
    server.signal(signal.SIGTERM)
    server.wait_for_log("Handling signal: term")
    held.let_go()
    assert held.answer()["pid"] == old
    started = time.monotonic()
    assert server.wait_for_exit() == 0
    assert time.monotonic() - started < PROMPT


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_quick_stop_while_the_old_worker_drains(start: Start, tmp_path: Path, number: int) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    (old,) = server.worker_pids()
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGHUP)
    until(lambda: set(server.worker_pids()) - {old}, "the new worker")
    assert_stops(server, number)
    with pytest.raises(ClosedError):
        held.client.receive()


def test_term_between_attempts_to_boot_broken_code(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    deployment.release("sys.exit(1)\n")
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait_for_log("A worker failed to boot.* The next attempt is in 2 s", 30)
    assert_stops(server, signal.SIGTERM)


# Processes that die during a reload


def test_killed_worker_loses_only_its_own_requests(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--worker-connections", 1, workers=2)
    requests = [HeldRequest(server, tmp_path, name) for name in ("first", "second")]
    for held in requests:
        held.running()
    dying, staying = server.worker_pids()
    os.kill(dying, signal.SIGKILL)
    for held in requests:
        held.let_go()
    answers = []
    for held in requests:
        try:
            answers.append(held.answer()["pid"])
        except ClosedError:
            answers.append(None)
    assert sorted(answers, key=str) == sorted([staying, None], key=str)
    until(lambda: len(server.worker_pids()) == 2, "the successor")


def test_client_waits_for_the_new_worker_when_the_old_one_is_killed(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.hold()
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    os.kill(old, signal.SIGKILL)
    waiting = server.connect()
    deployment.let_go()
    assert json.loads(waiting.request().body)["pid"] == new
    until(lambda: server.worker_pids() == [new], "only the new worker")


def test_workers_end_when_the_master_is_killed_while_one_boots(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.hold()
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not is_alive(old), "the end of the old worker")
    deployment.let_go()
    until(lambda: not is_alive(new), "the end of the new worker")
