"""Runs of background functions: failures, overlaps, forks, the end of the worker, metrics and stacks."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.inspection import command_line
from support.deployment import Deployment
from support.server import Server
from support.status import ON, Status
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

FAILING = """
from gworkers import background

@background.timer(0.1)
def fails():
    say("fails")
    raise {error}("deliberate")
"""
WAITING = """
from gworkers import background

@background.timer(0.1, overlap={overlap})
def waits():
    say(f"begins {{os.getpid()}}")
    while not os.path.exists({path!r}):
        time.sleep(0.01)
    say(f"ends {{os.getpid()}}")
"""
FORKING = """
from gworkers import background

@background.timer(0.2)
def forks():
    pid = os.fork()
    if not pid:
        time.sleep(0.01)
        say("child")
        return
    _, status = os.waitpid(pid, 0)
    say(f"status {status}")
"""


@pytest.mark.parametrize("error", ["LookupError", "SystemExit", "KeyboardInterrupt", "BaseException"])
@pytest.mark.sample(1)
def test_function_that_raises_runs_again(start: Start, deployment: Deployment, error: str) -> None:
    deployment.release(FAILING.format(error=error))
    server = start("deployed:app", *deployment.options)
    pid, = server.worker_pids()
    server.wait_for_log("^fails$", count=3)
    for number in (1, 2):
        server.wait_for_log(r"\[ERROR\] Exception in background function deployed:fails$", count=number)
    assert server.worker_pids() == [pid]
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    for _ in server.log("Traceback"):
        server.expect_traceback("deliberate")


@pytest.mark.full
def test_function_that_still_runs_is_not_started(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "continue"
    deployment.release(WAITING.format(path=str(path), overlap=False))
    server = start("deployed:app", *deployment.options, settings=ON)
    status = Status(server).wait_until_ready()
    until(lambda: background(status)["skipped"] >= 3, "runs that are skipped")
    assert len(server.log("^begins")) == 1
    path.touch()
    server.wait_for_log("^begins", count=3)
    until(lambda: background(status)["done"] >= 2, "runs that are counted")
    assert background(status)["failed"] == background(status)["abandoned"] == 0


def background(status: Status) -> dict[str, int]:
    """The number of runs of timers by outcome."""
    return status.state()["totals"]["background"]["timer"]


@pytest.mark.full
def test_function_may_overlap(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "continue"
    deployment.release(WAITING.format(path=str(path), overlap=True))
    server = start("deployed:app", *deployment.options)
    server.wait_for_log("^begins", count=3)
    assert not server.log("^ends")
    path.touch()
    server.wait_for_log("^ends", count=3)


@pytest.mark.every_hub
def test_function_may_fork(start: Start, deployment: Deployment) -> None:
    deployment.release(FORKING)
    server = start("deployed:app", *deployment.options)
    pid, = server.worker_pids()
    server.wait_for_log("^status", count=2)
    assert set(server.log("^status")) == {"status 0"}
    assert len(server.log("^child$")) >= 2
    assert server.ask()["pid"] == pid


@pytest.mark.full
def test_function_stays_in_its_worker_until_it_has_ended(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "continue"
    deployment.release(WAITING.format(path=str(path), overlap=False))
    server = start("deployed:app", *deployment.options, "--keep-alive", 60, settings={"drain_keepalive": 0.1})
    old, = server.worker_pids()
    server.wait_for_log(f"^begins {old}$")
    idle = server.connect()
    assert idle.request().status == 200
    server.signal(signal.SIGHUP)
    # The old worker closes the connection when it drains.
    idle.expect_close()
    assert len(server.log("^begins")) == 1
    path.touch()
    new = int(server.wait_for_log(rf"^begins (?!{old}$)(\d+)")[1])
    until_gone(old)
    assert [line for line in server.log("^(begins|ends)") if str(new) not in line] == [f"begins {old}", f"ends {old}"]


@pytest.mark.full
def test_abandoned_function_is_named_and_its_next_run_is_elsewhere(start: Start, deployment: Deployment,
                                                                   tmp_path: Path) -> None:
    deployment.release(WAITING.format(path=str(tmp_path / "never"), overlap=False))
    server = start("deployed:app", *deployment.options, "--graceful-timeout", 1)
    old, = server.worker_pids()
    server.wait_for_log(f"^begins {old}$")
    server.signal(signal.SIGHUP)
    server.wait_for_log(rf"\[WARNING\] Worker graceful timeout \(pid:{old}\)\. Background functions that have not ended"
                        r": deployed:waits\. Set")
    server.wait_for_log(rf"^begins (?!{old}$)")
    until_gone(old)


def test_stacks_name_the_function(start: Start, deployment: Deployment, tmp_path: Path,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "continue"
    deployment.release(WAITING.format(path=str(path), overlap=False))
    server = start("deployed:app", *deployment.options)
    pid, = server.worker_pids()
    server.wait_for_log("^begins")
    assert command_line.stacks([str(pid)]) == 0
    out = capsys.readouterr().out
    assert "\n\n1 background function:\n\ndeployed:waits (timer), " in out
    assert ", in waits\n" in out
    path.touch()


@pytest.mark.full
def test_block_names_the_function(start: Start, deployment: Deployment) -> None:
    deployment.release("""
from gworkers import background

@background.timer(0.1)
def blocks():
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        pass
""")
    server = start("deployed:app", *deployment.options, settings={"block_warning": 0.1})
    server.wait_for_log(r"The hub is blocked for [\d.]+ s .*deployed.py:\d+ in blocks, request: none, but the "
                        r"background function deployed:blocks\. ")
    server.wait_for_log(r"The hub runs again\. It was blocked for [\d.]+ s by the background function deployed:blocks")
