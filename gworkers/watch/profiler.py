"""The command ``profile`` of the control socket: samples of the hub's thread, and how long requests hold the hub."""
from __future__ import annotations

import sys
import time
from random import randint
from select import POLLIN
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from gworkers.watch.samples import Samples
from gworkers.watch.stretches import Stretches

if TYPE_CHECKING:
    from gworkers.serving.server import Server
    from gworkers.watch.hub_thread import HubThread

#: Milliseconds between two samples, at random, because a fixed time could match the period of a task. 100 a second.
PERIOD = (5, 15)
#: The most seconds of a profile.
SECONDS = 3600.0
#: Seconds after which the hub's thread passes on the interpreter's lock to a thread that waits for it. With Python's
#: default of 5 ms a sample would nearly always be taken in a system call, which releases the lock.
SWITCH_INTERVAL = 0.00001


class Profiler:
    """Profiles one worker. Create it in the hub's thread.

    :param server: the server of the worker
    :param hub_thread: the native thread of the hub
    """

    def __init__(self, server: Server, hub_thread: HubThread) -> None:
        self._server = server
        self._hub_thread = hub_thread
        self._free = server.hub.native_lock()
        self._stretches: Stretches | None = None

    def run(self, request: dict[str, Any], client: Any) -> dict[str, Any]:
        """Sample for the ``seconds`` of *request*, or until *client* leaves. Return the result.

        This is the command ``profile`` of the control socket.
        """
        seconds = request.get("seconds")
        if not isinstance(seconds, (int, float)) or not 0 < seconds <= SECONDS:
            return {"error": f"seconds must be a number above 0, and at most {SECONDS:g}"}
        if not self._free.acquire(False):
            return {"error": "another profile of this worker runs"}
        stretches = self._stretches = Stretches(self._server, self._hub_thread.greenlet)
        interval = sys.getswitchinterval() if hasattr(sys, "getswitchinterval") else 0.0
        try:
            self._hub_thread.call_later(stretches.start)
            if interval:
                sys.setswitchinterval(SWITCH_INTERVAL)
            return self._sample(stretches, seconds, client)
        finally:
            stretches.stop()
            if interval:
                sys.setswitchinterval(interval)
            self._free.release()

    def release_after_fork(self) -> None:
        """End the profile in a forked process."""
        if self._stretches is not None:
            self._stretches.stop()

    def _sample(self, stretches: Stretches, seconds: float, client: Any) -> dict[str, Any]:
        samples = Samples(self._server.hub, stretches.current_path)
        poll = self._server.hub.native_poll()
        poll.register(client.fileno(), POLLIN)
        cpu_clock = _cpu_clock(self._hub_thread.id)
        cpu_began = cpu_last = cpu_clock()
        began = last = monotonic()
        # A client sends nothing after its request, so an event means that it has left.
        while last - began < seconds and not poll.poll(randint(*PERIOD)):
            now, cpu = monotonic(), cpu_clock()
            frame = self._hub_thread.frame()
            if frame is not None:
                samples.add(frame, now - last, cpu - cpu_last)
            if self._hub_thread.frame() is not frame:
                # The function has returned meanwhile. Its local variables must end in the hub's thread, because their
                # finalizers may use the hub.
                self._hub_thread.call_later([frame].clear)
            del frame
            last, cpu_last = now, cpu
        return {"seconds": last - began, "cpu": cpu_last - cpu_began, **samples.result(),
                "paths": stretches.result() if stretches.started else None}


def _cpu_clock(thread_id: int) -> Callable[[], float]:
    """Return a function that returns the CPU time of a native thread; always 0 where the system has none."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: 0.0
    clock = time.pthread_getcpuclockid(thread_id)
    return lambda: time.clock_gettime(clock)
