"""The figures of the server as a whole, which the master publishes in the first slot of shared memory."""
from __future__ import annotations

import json
import socket
import struct
from collections import deque
from time import monotonic, time
from typing import Any

from gworkers import __version__
from gworkers.shared_state import MEMORY, SERVER_STATE, Phase, state_of
from gworkers.status.figures import COUNTERS, load, store
from gworkers.status.snapshot import parse
from gworkers.versions import installed_version

#: The number of reloads that are remembered.
RELOADS = 10
#: tcp_info of Linux: the numbers of connections that wait for accept(), and that may. They stand where a connected
#: socket has the numbers of unacknowledged and of selectively acknowledged segments.
_QUEUE = struct.Struct("24xII")


class ServerFigures:
    """The figures of one server: the master's own counters, and those of the workers that have ended.

    :param pid: the process id of the master
    """

    def __init__(self, pid: int) -> None:
        self._slot = MEMORY.take(0)
        self._pid = pid
        self._started = time()
        self._gunicorn = installed_version("gunicorn")
        self._counters = dict.fromkeys(COUNTERS, 0.0)
        self._reloads: deque[dict[str, Any]] = deque(maxlen=RELOADS)
        self._reload_began: float | None = None
        self._stopping = False

    def count(self, name: str) -> None:
        """Add one to the master's counter *name*."""
        self._counters[name] += 1

    def describe(self, worker: Any) -> None:
        """Describe *worker*, of a class of another package, which does not do it itself."""
        slot = state_of(worker).slot
        with slot.writing():
            store(slot, {"pid": worker.pid, "number": slot.index, "generation": SERVER_STATE.generation,
                         "born": monotonic()})

    def retire(self, worker: Any) -> None:
        """Keep the counters of *worker*, which has ended, and free its slot."""
        state = state_of(worker)
        with self._slot.writing():
            figures = load(state.slot)
            for name in COUNTERS:
                self._counters[name] += figures[name]
            store(self._slot, self._counters)
            state.slot.clear()
        state.free()

    def log_aborted(self, worker: Any, log: Any) -> None:
        """If *worker* was aborted and could not report what it did, log the requests that it has published last."""
        state = state_of(worker)
        if not state.aborted or state.reported or state.phase == Phase.BOOTING:
            return
        requests = parse(state.slot.document).get("in_flight_requests", [])
        described = "".join("\n{method} {path} from {peer}, {age:.1f} s old, {state}:\n{stack}".format(**request)
                            for request in requests)
        log.error("The worker (pid:%s) was aborted and could not report what it did, because C code kept the "
                  "interpreter's lock. Requests in flight %.1f s before its end: %s.%s",
                  worker.pid, monotonic() - load(state.slot)["beat"], len(requests), described)

    def begin_reload(self) -> None:
        """A reload begins. It may take the place of another one."""
        self._reload_began = monotonic()

    def end_reload(self, outcome: str) -> None:
        """The reload has ended.

        :param outcome: ``done``, ``refused`` if nothing has changed, or ``failed`` if no new worker booted
        """
        if self._reload_began is None:
            return
        seconds = monotonic() - self._reload_began
        self._reload_began = None
        self.count("reloads" if outcome == "done" else "failed_reloads")
        self._reloads.appendleft({"at": round(time() - seconds, 3), "generation": SERVER_STATE.generation,
                                  "outcome": outcome, "seconds": round(seconds, 3)})

    @property
    def is_reloading(self) -> bool:
        """Whether a reload has begun and not ended."""
        return self._reload_began is not None

    def stop(self) -> None:
        """The server stops."""
        self._stopping = True

    def publish(self, cfg: Any, listeners: list[Any]) -> None:
        """Publish everything.

        :param cfg: Gunicorn's configuration
        :param listeners: the listening sockets of the master
        """
        state = ("stopping" if self._stopping else "starting" if not SERVER_STATE.was_ready
                 else "reloading" if self.is_reloading else "serving")
        document = json.dumps({
            "pid": self._pid, "gworkers": __version__, "gunicorn": self._gunicorn, "state": state,
            "generation": SERVER_STATE.generation, "started": self._started, "timeout": cfg.timeout,
            "accept_queue": [queue for queue in map(_accept_queue, listeners) if queue is not None],
            "reloads": list(self._reloads)}).encode()
        with self._slot.writing():
            store(self._slot, self._counters)
            self._slot.set_document(document)


def _accept_queue(listener: Any) -> dict[str, Any] | None:
    """Return how many connections wait for ``accept()`` at *listener*. Only Linux tells, and for TCP only."""
    sock = listener.sock
    if sock is None or sock.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return None
    try:
        length, limit = _QUEUE.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUE.size))
    except OSError:
        return None
    return {"address": str(listener), "length": length, "limit": limit}
