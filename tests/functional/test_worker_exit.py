"""A log handler that raises an exception while a worker exits loses log records, but has no other effect."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from support.server import Server
from support.waiting import until, until_gone

pytestmark = pytest.mark.only(transport="unix", parser="fast")

RAISES = """
import logging
class Raises(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("Worker exiting"):
            raise OSError("deliberate")
def post_worker_init(worker):
    worker.log.error_log.addHandler(Raises())
"""


def test_exiting_worker_does_not_continue_as_an_arbiter(start: Callable[..., Server]) -> None:
    server = start("probe:app", workers=2, config=RAISES)
    old = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: set(server.worker_pids()) - set(old), "a worker of the new generation")
    until_gone(*old)
    assert server.connect().request().status == 200
    assert server.stop() == 0
    assert not server.log("failed to boot|Unhandled exception in main loop")
    while server.unexpected_tracebacks():
        server.expect_traceback("OSError: deliberate")
