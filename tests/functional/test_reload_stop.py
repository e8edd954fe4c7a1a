"""A server that is told to stop while it reloads."""

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

#: Seconds in which a server should be gone that has nothing to finish; far below all that could keep it here.
PROMPT = 10.0


def stops(server: Server, number: int) -> None:
    workers = server.worker_pids()
    started = time.monotonic()
    server.signal(number)
    assert server.wait_for_exit(PROMPT * 3) == 0
    assert time.monotonic() - started < PROMPT
    until(lambda: not any(map(is_alive, workers)), "the workers' end")


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.smoke
def test_while_the_new_generation_boots(start: Start, deployment: Deployment, number: int) -> None:
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, workers=2)
    old = set(server.worker_pids())
    deployment.hold()
    server.signal(signal.SIGHUP)
    new = deployment.booting(2, but=old)
    stops(server, number)
    assert not any(map(is_alive, new))


@pytest.mark.parametrize("number", STOPS)
def test_while_the_first_generation_boots(start: Start, deployment: Deployment, number: int) -> None:
    deployment.hold()
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, workers=2, ready=False)
    new = deployment.booting(2, but=set())
    stops(server, number)
    assert not any(map(is_alive, new))


DEAF = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
(here / "is deaf").touch()
while not (here / "fails").exists():
    time.sleep(0.01)
raise LookupError("deliberate")
"""


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.log_handler(locked="the worker ends while its line waits for the lock")
def test_while_the_first_worker_is_about_to_fail(start: Start, deployment: Deployment, tmp_path: Path,
                                                 number: int) -> None:
    deployment.release(DEAF)
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 60, ready=False)
    until((tmp_path / "deployment" / "is deaf").exists, "the worker is deaf")
    server.signal(number)
    server.wait_for_log("Handling signal: ")
    (tmp_path / "deployment" / "fails").touch()
    assert server.wait_for_exit() == 0
    server.expect_traceback("LookupError: deliberate")


def hanging_rehearsal(server: Server, tmp_path: Path) -> int:
    path = server.directory / "gunicorn.conf.py"
    path.write_text("import os, time\nfrom pathlib import Path\n"
                    f"Path({str(tmp_path / 'rehearses')!r}).write_text(str(os.getpid()))\ntime.sleep(3600)\n")
    server.signal(signal.SIGHUP)
    rehearsal = int(until(lambda: (tmp_path / "rehearses").exists() and (tmp_path / "rehearses").read_text(),
                          "the rehearsal has begun"))
    assert server.connect().request().status == 200
    return rehearsal


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.smoke
def test_while_a_rehearsal_hangs(start: Start, tmp_path: Path, number: int) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    rehearsal = hanging_rehearsal(server, tmp_path)
    stops(server, number)
    assert not is_alive(rehearsal)


def test_behind_many_signals(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 60)
    rehearsal = hanging_rehearsal(server, tmp_path)
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGWINCH) * 3:
        server.signal(number)
    stops(server, signal.SIGTERM)
    assert not is_alive(rehearsal)


def test_term_while_the_old_worker_drains(start: Start, tmp_path: Path) -> None:
    """The request that runs is finished, and nothing else is waited for."""
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
    stops(server, number)
    with pytest.raises(ClosedError):
        held.client.receive()


def test_term_while_broken_code_is_tried_again(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    deployment.release("sys.exit(1)\n")
    os.kill(server.worker_pids()[0], signal.SIGKILL)
    server.wait_for_log("A worker failed to boot.* The next attempt is in 2 s", 30)
    stops(server, signal.SIGTERM)


# Those that die in between


def test_killed_worker_takes_only_its_own_with_it(start: Start, tmp_path: Path) -> None:
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
    until(lambda: len(server.worker_pids()) == 2, "its successor")


def test_old_worker_that_is_killed_while_the_new_one_boots(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.hold()
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    os.kill(old, signal.SIGKILL)
    waiting = server.connect()
    deployment.let_go()
    assert json.loads(waiting.request().body)["pid"] == new
    until(lambda: server.worker_pids() == [new], "nobody else is there")


def test_master_that_is_killed_while_a_worker_boots(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.hold()
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not is_alive(old), "the old worker's end")
    deployment.let_go()
    until(lambda: not is_alive(new), "the new worker's end")
