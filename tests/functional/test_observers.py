"""Observers of a server: the status process, systemd and statsd. No failure there may reach the arbiter's loop."""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

FAILING = """
from gworkers.master.figures import ServerFigures

def fail(self, *args, **named):
    raise RuntimeError("deliberate")

def on_starting(server):
    for name in ("publish", "describe", "retire", "count", "begin_reload", "end_reload", "stop"):
        setattr(ServerFigures, name, fail)
"""


def test_server_continues_if_its_state_cannot_be_reported(start):
    server = start("probe:app", config=FAILING)
    server.expect_traceback("RuntimeError: deliberate")
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2, since=0)
    assert server.connect().request("/").status == 200
    assert len(server.log("The state of the server cannot be reported", since=0)) == 1
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
