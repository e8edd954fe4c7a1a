"""A reload with code that cannot boot: the existing workers keep serving, and fixed code is loaded."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.launch import ANNOUNCE
from support.load import Load
from support.masters import FAILED, LONG
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: The code that is deployed, and the last line of its only traceback, if there is one.
BROKEN = {
    "import": ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    # Python reports the line without a traceback.
    "syntax": ("def app(:\n", None),
    "exception": ("raise LookupError('deliberate')\n", "LookupError: deliberate"),
    "attribute": ("del app\n", None),
    "not callable": ("app = 7\n", None),
    "exit": ("sys.exit(3)\n", None),
    "exit without an error": ("sys.exit()\n", None),
    "killed": ("import signal\nos.kill(os.getpid(), signal.SIGKILL)\n", None),
}

HANGS = "while True:\n    time.sleep(0.1)\n"


def serving(server: Server) -> list[int]:
    """The workers, after each one has answered: a worker that is ready may not have accepted yet."""
    pids = server.worker_pids()
    with Load(server) as load:
        load.answered_by(*pids)
    return pids


def fails_then_succeeds(server: Server, deployment: Deployment, broken: str, traceback: str | None = None) -> None:
    """A reload with this code fails and no client notices it. The next one, with code that works, succeeds."""
    old = server.worker_pids()
    deployment.release(broken)
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        server.wait_for_log(FAILED, LONG)
        if traceback is not None:
            server.expect_traceback(traceback)
        load.goes_on()
        assert server.worker_pids() == old
        assert set(load.pids) <= set(old)

        deployment.release()
        seen = deployment.boots()
        server.signal(signal.SIGHUP)
        new = deployment.booting(len(old), but=seen)
        load.answered_by(*new)
        until(lambda: not any(map(is_alive, old)), "the end of the old workers")
        load.goes_on()
    assert not load.failures
    assert set(server.worker_pids()) == new
    assert len(server.log(FAILED)) == 1


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.sample(1)
def test_code_that_cannot_boot(start: Start, deployment: Deployment, kind: str) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    fails_then_succeeds(server, deployment, *BROKEN[kind])


@pytest.mark.smoke
def test_module_that_was_removed(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.remove()
    server.signal(signal.SIGHUP)
    server.wait_for_log(FAILED)
    assert json.loads(server.connect().request().body)["pid"] == old
    assert len(server.unexpected_tracebacks()) <= 1
    if server.unexpected_tracebacks():
        server.expect_traceback("ModuleNotFoundError: No module named 'deployed'")


def test_factory_that_fails(start: Start, deployment: Deployment) -> None:
    factory = "made = app\ndef app():\n    return made\n"
    deployment.release(factory)
    server = start("deployed:app()", *deployment.options)
    (old,) = server.worker_pids()
    deployment.release("def app():\n    raise LookupError('no database')\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(FAILED)
    server.expect_traceback("LookupError: no database")
    assert json.loads(server.connect().request().body)["pid"] == old
    deployment.release(factory)
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the end of the old worker")


def test_hook_that_fails(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    config = (f"import os\ndef post_worker_init(worker):\n    if os.path.exists({str(tmp_path / 'fail')!r}):\n"
              "        raise LookupError('no such thing')\n")
    server = start("deployed:app", *deployment.options, config=config)
    (old,) = server.worker_pids()
    (tmp_path / "fail").touch()
    server.signal(signal.SIGHUP)
    server.wait_for_log(FAILED)
    server.expect_traceback("LookupError: no such thing")
    assert json.loads(server.connect().request().body)["pid"] == old
    (tmp_path / "fail").unlink()
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the end of the old worker")


def test_boot_timeout(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, settings={"boot_timeout": 5})
    fails_then_succeeds(server, deployment, HANGS)
    assert server.log(r"WORKER TIMEOUT \(pid:\d+\): the worker did not boot within 5 s")


@pytest.mark.full
def test_boot_timeout_of_a_worker_that_blocks_signals(start: Start, deployment: Deployment) -> None:
    # The worker ignores even the signal that aborts it.
    unstoppable = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT, signal.SIGTERM])\n"
    server = start("deployed:app", *deployment.options, settings={"boot_timeout": 5})
    fails_then_succeeds(server, deployment, unstoppable + HANGS)


def test_timeout_does_not_apply_to_a_boot(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, "--timeout", 1)
    (old,) = server.worker_pids()
    deployment.release("time.sleep(3)\n")
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    until(lambda: not is_alive(old), "the end of the old worker")
    assert server.worker_pids() == [new]
    assert not server.log("WORKER TIMEOUT")


def test_reload_succeeds_if_one_worker_boots(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    """The other worker of the generation is started again until it boots as well."""
    server = start("deployed:app", *deployment.options, workers=2)
    old = server.worker_pids()
    deployment.release(f"if not os.path.exists({str(tmp_path / 'first')!r}):\n"
                       f"    os.close(os.open({str(tmp_path / 'first')!r}, os.O_CREAT | os.O_EXCL))\n"
                       "    raise LookupError('deliberate')\n")
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        until(lambda: not any(map(is_alive, old)), "the end of the old workers", LONG)
        server.expect_traceback("LookupError: deliberate")
        load.goes_on()
    assert not load.failures
    assert len(server.worker_pids()) == 2
    assert not server.log(FAILED)


@pytest.mark.full
def test_worker_that_dies_while_the_code_is_broken(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    staying, dying = serving(server)
    deployment.release("raise LookupError('deliberate')\n")
    os.kill(dying, signal.SIGKILL)
    server.wait_for_log(r"A worker failed to boot\. Serving workers: 1\. The next attempt is in 1 s\.", LONG)
    server.wait_for_log(r"A worker failed to boot\. Serving workers: 1\. The next attempt is in 2 s\.", LONG)
    server.wait_for_log(r"A worker failed to boot\. Serving workers: 1\. The next attempt is in 4 s\.", LONG)
    server.expect_traceback("LookupError: deliberate")
    attempts = deployment.boots() - {staying, dying}
    assert len(attempts) == 3
    assert not any(map(is_alive, attempts))
    assert json.loads(server.connect().request().body)["pid"] == staying

    # The fixed code is loaded without a signal.
    deployment.release()
    (new,) = deployment.booting(1, but={staying, dying} | attempts)
    server.wait_for_log(f"^worker {new} is ready$")
    assert server.worker_pids() == [staying, new]


@pytest.mark.full
def test_workers_that_fail_together_are_one_attempt(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=4)
    old = serving(server)
    deployment.release("sys.exit(1)\n")
    deployment.hold()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    first = deployment.booting(4, but=set(old))
    deployment.let_go()
    server.wait_for_log(r"A worker failed to boot\. Serving workers: 0\. The next attempt is in 2 s\.", LONG)
    until_gone(*first)
    assert len(server.log(r"A worker failed to boot\. ")) == 2
    assert len(deployment.boots() - first - set(old)) == 1
    # Each of the five logs why.
    assert len(server.log(r"\[ERROR\] deployed:app cannot be loaded: SystemExit: 1")) == 5


def test_one_worker_at_a_time_tries_to_boot_after_a_failure(start: Start, deployment: Deployment) -> None:
    config = "def pre_fork(server, worker):\n    print('fork of a worker', flush=True)\n"
    server = start("deployed:app", *deployment.options, workers=3, config=config)
    old = serving(server)
    deployment.release("sys.exit(1)\n")
    deployment.hold()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    failing = deployment.booting(3, but=set(old))
    deployment.release()
    for pid in failing:
        deployment.let_go(pid)
    (trying,) = deployment.booting(1, but=failing | set(old))
    # The arbiter starts missing workers after each signal.
    for count in (1, 2):
        server.signal(signal.SIGUSR1)
        server.wait_for_log("Handling signal: usr1", count=count)
    assert len(server.log("fork of a worker")) == len({*old, *failing, trying})
    deployment.let_go()
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=6)
    assert trying in server.worker_pids()


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.sample(1)
def test_failed_reload_restores_the_number_of_workers(start: Start, deployment: Deployment, workers: int) -> None:
    server = start("deployed:app", *deployment.options, config="workers = 2\n", workers=0)
    server.wait_for_log(r"^worker \d+ is ready$", count=2, since=0)
    old = serving(server)
    (server.directory / "gunicorn.conf.py").write_text(f"workers = {workers}\n{ANNOUNCE}")
    deployment.release("sys.exit(1)\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(FAILED + r" The previous code stays in use\. Serving workers: 2\.", LONG)
    tried = deployment.boots()
    assert len(tried) == 2 + workers
    # The arbiter would start missing workers when it handles a signal, at the latest.
    server.signal(signal.SIGUSR1)
    server.wait_for_log("Handling signal: usr1")
    server.signal(signal.SIGUSR1)
    server.wait_for_log("Handling signal: usr1", count=2)
    assert server.worker_pids() == old
    assert deployment.boots() == tried


def test_each_failure_has_its_traceback(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    for error in ("first", "second"):
        (serves,) = serving(server)
        deployment.release(f"raise LookupError('{error}')\n")
        os.kill(serves, signal.SIGKILL)
        server.expect_traceback(f"LookupError: {error}", LONG)
        seen = deployment.boots()
        deployment.release()
        deployment.booting(1, but=seen)
        # It has to be ready before the next failure.
        assert server.connect().request().status == 200


def test_ttou_during_a_failing_reload_is_kept(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=3)
    old = server.worker_pids()
    deployment.release("sys.exit(1)\n")
    deployment.hold()
    server.signal(signal.SIGHUP)
    first, *others = sorted(deployment.booting(3, but=set(old)))
    deployment.let_go(first)
    until_gone(first)
    server.signal(signal.SIGTTOU)
    server.wait_for_log("Handling signal: ttou")
    assert all(map(is_alive, others))
    deployment.let_go()
    server.wait_for_log(FAILED, LONG)
    until(lambda: len(server.worker_pids()) == 2, "two workers")
    assert set(server.worker_pids()) < set(old)


def test_reload_does_not_wait_for_the_next_attempt(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    staying, dying = serving(server)
    deployment.release("sys.exit(1)\n")
    os.kill(dying, signal.SIGKILL)
    server.wait_for_log(r"The next attempt is in 4 s", LONG)
    deployment.release()
    seen = deployment.boots()
    server.signal(signal.SIGHUP)
    deployment.booting(2, but=seen)
    until(lambda: not is_alive(staying), "the end of the old worker")
    assert len(server.worker_pids()) == 2


# The first start


@pytest.mark.parametrize(("kind", "status"), [
    ("import", 3), ("exception", 3), ("attribute", 4), ("not callable", 4), ("exit", 4), ("exit without an error", 4)])
@pytest.mark.sample(3)
def test_broken_code_stops_the_first_start(start: Start, deployment: Deployment, kind: str, status: int) -> None:
    broken, traceback = BROKEN[kind]
    deployment.release(broken)
    server = start("deployed:app", *deployment.options, ready=False)
    assert server.wait_for_exit() == status
    if traceback is not None:
        server.expect_traceback(traceback)
    assert server.log(r"\[ERROR\] .* \[application\]")
    assert len(deployment.boots()) == 1


def test_exit_status_of_the_application_is_logged(start: Start, deployment: Deployment) -> None:
    deployment.release("sys.exit(7)\n")
    server = start("deployed:app", *deployment.options, ready=False)
    assert server.wait_for_exit() == 4
    assert server.log("deployed:app cannot be loaded: SystemExit: 7")
