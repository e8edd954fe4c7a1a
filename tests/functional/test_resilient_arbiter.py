"""Workers that crash, are of another worker class, or do not exit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.launch import WORKERS
from support.masters import LONG, reconfigure, renewed
from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.mark.parametrize("broken", ["sys.exit(3)", "del app", "raise LookupError('deliberate')"])
def test_broken_code_with_another_worker_class(start: Start, deployment: Deployment, hub: str, broken: str) -> None:
    """Such a worker counts as ready while it runs, so it replaces the one that works. Then boots are retried."""
    server = start("deployed:app", *deployment.options, worker_class="from config",
                   config=f"worker_class = '{WORKERS[hub]}'\n")
    (old,) = server.worker_pids()
    deployment.release(f"{broken}\n")
    reconfigure(server, "worker_class = 'sync'\n")
    deployment.booting(3, but={old})
    assert server.process.poll() is None
    deployment.release()
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=2)
    renewed(server, old)
    while "raise" in broken and server.unexpected_tracebacks():
        server.expect_traceback("LookupError: deliberate")


@pytest.mark.parametrize("crash", ["os._exit(7)", "import signal; os.kill(os.getpid(), signal.SIGSEGV)"])
@pytest.mark.sample(1)
def test_application_that_crashes_stops_the_first_start(start: Start, deployment: Deployment, crash: str) -> None:
    deployment.release(f"{crash}\n")
    server = start("deployed:app", *deployment.options, ready=False)
    assert server.wait_for_exit(LONG) == 3
    assert len(deployment.boots()) == 3
    assert server.log("Reason: No worker could boot")


HANGING = {
    "exit handler": "import atexit\natexit.register(lambda: time.sleep(3600))\n",
    "thread": "import threading\nthreading.Thread(target=lambda: time.sleep(3600)).start()\n",
}

#: Without Gunicorn's timeout, which would end a worker without a heartbeat, too.
OPTIONS = ("--graceful-timeout", 2, "--timeout", 0)


@pytest.mark.parametrize("kind", HANGING)
@pytest.mark.sample(1)
def test_worker_that_hangs_at_exit_is_ended(start: Start, deployment: Deployment, kind: str) -> None:
    deployment.release(HANGING[kind])
    server = start("deployed:app", *deployment.options, *OPTIONS)
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(f"Worker exiting .*{old}")
    renewed(server, old)


@pytest.mark.parametrize("kind", HANGING)
@pytest.mark.sample(1)
def test_booting_worker_that_hangs_at_exit_is_ended(start: Start, deployment: Deployment, tmp_path: Path,
                                               kind: str) -> None:
    server = start("deployed:app", *deployment.options, *OPTIONS)
    (old,) = server.worker_pids()
    loaded = tmp_path / "loaded"
    deployment.release(f"{HANGING[kind]}Path({str(loaded)!r}).touch()\nwhile True:\n    time.sleep(0.01)\n")
    server.signal(signal.SIGHUP)
    (superseded,) = deployment.booting(1, but={old})
    until(loaded.exists, "the application is loaded")
    deployment.release()
    server.signal(signal.SIGHUP)
    until_gone(superseded, limit=LONG)
    renewed(server, old)
