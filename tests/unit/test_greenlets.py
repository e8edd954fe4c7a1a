"""The pool of request greenlets, on a real hub in its own process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.launch import hubs

pytestmark = pytest.mark.smoke

LOST = """
import sys
from contextvars import copy_context
from greenlet import GreenletExit
from gworkers import hubs
from gworkers.serving.greenlets import RequestGreenlets
from gworkers.logs.queue import LogQueue

hubs.patch(sys.argv[1], ())
hub = hubs.create(sys.argv[1])
greenlets = RequestGreenlets(hub, LogQueue(hub, None, lambda error: False), copy_context(), reuse=True, time_slice=1.0)
used = []

class Connection:
    def serve(self, request):
        used.append(hub.current_greenlet())

def serve():
    greenlets.run(Connection(), None)
    hub.yield_to_ready()
    hub.yield_to_ready()

def in_the_hub(callback, *args):
    hub.call_soon(callback, *args)
    hub.yield_to_ready()
    hub.yield_to_ready()

serve()
in_the_hub(greenlets.trim)
in_the_hub(used[0].throw, GreenletExit)
in_the_hub(greenlets.trim)
serve()
print(len(used), used[0] is used[1], used[0].dead)
"""


@pytest.mark.parametrize("hub", hubs())
def test_pool_survives_the_loss_of_a_greenlet(hub: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", LOST, hub]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "2 False True\n"
