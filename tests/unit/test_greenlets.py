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


THREAD_LOCALS = """
import gc
import sys
import weakref
from contextvars import copy_context
from gworkers import hubs
from gworkers.serving.greenlets import RequestGreenlets
from gworkers.logs.queue import LogQueue

hubs.patch(sys.argv[1], ("thread",))
hub = hubs.create(sys.argv[1])
greenlets = RequestGreenlets(hub, LogQueue(hub, None, lambda error: False), copy_context(),
                             reuse=sys.argv[2] == "reused", time_slice=1.0)
from threading import local

class Value:
    pass

class Values(local):
    def __init__(self, first):
        self.first = first()
        alive.add(self.first)

alive = weakref.WeakSet()
values = Values(Value)
waiting = []

class Connection:
    def serve(self, request):
        values.second = Value()
        alive.add(values.second)
        # All of them at once.
        waiting.append(hub.current_greenlet())
        hub.park()
        assert values.first in alive and values.second in alive

def in_the_hub(callback, *args):
    hub.call_soon(callback, *args)
    hub.yield_to_ready()
    hub.yield_to_ready()

gc.collect()
gc.disable()
for _ in range(3):
    greenlets.run(Connection(), None)
hub.yield_to_ready()
hub.yield_to_ready()
started = len(alive)
while waiting:
    in_the_hub(waiting.pop().switch)
for _ in range(2):
    in_the_hub(greenlets.trim)
# The main greenlet has values, too, if the class gives them.
print(started, len(alive), greenlets.total)
"""


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="elsewhere the garbage collector releases all objects")
@pytest.mark.parametrize("greenlets", ["reused", "fresh"])
@pytest.mark.parametrize("hub", hubs())
def test_thread_locals_end_with_their_greenlet(hub: str, greenlets: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", THREAD_LOCALS, hub, greenlets]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "7 1 0\n"
