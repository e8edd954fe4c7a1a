"""The configuration is read twice, by a dry run and by the master, and may have changed in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.launch import WORKERS
from support.load import Load
from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: A configuration that is different in the process whose id is in the file ``here``: in the master, not in a dry run.
FICKLE = """
import os
from pathlib import Path

def is_here():
    here = Path({here!r})
    return here.exists() and int(here.read_text()) == os.getpid()

raw_env = ["RELEASE=" + ("second" if is_here() else "first")]
{what}
"""
FICKLE_KINDS = {
    "exception": ("if is_here():\n    raise LookupError('deliberate')\n", "LookupError: deliberate"),
    "value": ("workers = 'many' if is_here() else 1\n", None),
    "class": ("worker_class = 'gworkers.Nothing' if is_here() else worker_class\n", None),
    "hook": ("def on_reload(server):\n    if is_here():\n        raise LookupError('deliberate')\n",
             "LookupError: deliberate"),
}


@pytest.mark.parametrize("kind", FICKLE_KINDS)
@pytest.mark.sample(2)
def test_configuration_that_the_master_cannot_read(start: Start, hub: str, tmp_path: Path, kind: str) -> None:
    what, traceback = FICKLE_KINDS[kind]
    here = tmp_path / "here"
    config = f"worker_class = {WORKERS[hub]!r}\n" + FICKLE.format(here=str(here), what=what)
    server = start("probe:app", worker_class="from config", config=config)
    (old,) = server.worker_pids()
    here.write_text(str(server.pid))
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        server.wait_for_log(r"\[ERROR\] Reload refused")
        if traceback is not None:
            server.expect_traceback(traceback)
        load.goes_on()
        assert server.worker_pids() == [old]
        # Nothing of it remains, in the environment for instance.
        server.signal(signal.SIGTTIN)
        server.wait_for_log(r"^worker \d+ is ready$", count=2)
        os.kill(old, signal.SIGTERM)
        until_gone(old)
        assert server.ask("/variable?name=RELEASE") == "first"
        here.unlink()
        second = server.worker_pids()
        server.signal(signal.SIGHUP)
        until_gone(*second)
        # The worker that replaces the one that was killed may have booted after "second" was read.
        until(lambda: len(server.worker_pids()) == 1, "one worker")
        load.goes_on()
    assert not load.failures


def test_addresses_are_those_of_the_dry_run(start: Start, tmp_path: Path) -> None:
    here = tmp_path / "here"
    server = start("probe:app", bind=("from config",), config=FICKLE.format(
        here=str(here), what="bind = '127.0.0.1:1' if is_here() else '127.0.0.1:0'\n"))
    (old,) = server.worker_pids()
    here.write_text(str(server.pid))
    server.signal(signal.SIGHUP)
    until_gone(old)
    assert server.ask()["pid"] not in (None, old)
