"""Publishes the figures of a worker in shared memory, for the master and for the status process."""
from __future__ import annotations

import json
from collections import deque
from heapq import nsmallest
from math import frexp
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from gworkers.error_text import print_traceback
from gworkers.serving.counters import EXPONENTS
from gworkers.serving.stacks import brief
from gworkers.shared_memory import DOCUMENT_SIZE
from gworkers.status.figures import STATUS_CLASSES, by_bucket, store
from gworkers.worker.memory import resident_bytes

if TYPE_CHECKING:
    from types import FrameType

    from gworkers.hubs.base import Greenlet
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server
    from gworkers.shared_state import WorkerState
    from gworkers.watch.watchdog import Watchdog

#: Seconds between two publications.
INTERVAL = 0.4
#: The most requests in flight that are listed, and those of them whose stacks are. The oldest come first.
REQUESTS = 32
STACKS = 8
#: The most characters of a path, and of a stack.
PATH_LENGTH = 300
STACK_LENGTH = 2000
#: The number of samples of the hub's lag for its percentiles: those of about a minute.
SAMPLES = 150


class Publisher:
    """Publishes the figures of one worker.

    :param identity: figures that do not change
    """

    def __init__(self, server: Server, watchdog: Watchdog, state: WorkerState, identity: dict[str, float]) -> None:
        self._server = server
        self._watchdog = watchdog
        self._slot = state.slot
        self._identity = identity
        self._beat = monotonic()
        self._due = 0.0
        self._lags: deque[float] = deque(maxlen=SAMPLES)
        self._lag_times = [0] * EXPONENTS
        self._lag_sum = 0.0
        #: the reason why the worker is recycled, if it is
        self.recycled = ""
        # The watchdog's thread publishes while the hub is blocked.
        self._lock = server.hub.native_lock()
        self._failed = False

    def record_lag(self, seconds: float) -> None:
        """Record that a timer of the hub was late by *seconds*."""
        seconds = max(seconds, 0.0)
        self._lags.append(seconds)
        self._lag_times[frexp(seconds or 1e-9)[1]] += 1
        self._lag_sum += seconds

    def beat(self) -> None:
        """Record that the hub runs, and publish if it is time to. The main greenlet calls this."""
        self._beat = monotonic()
        if self._beat >= self._due:
            self._due = self._beat + INTERVAL
            self.publish(None)

    def publish(self, running: FrameType | None) -> None:
        """Publish all figures now.

        :param running: the innermost frame of the hub's thread, if another thread calls this
        """
        if not self._lock.acquire(False):
            # The other thread was interrupted while it published.
            return
        try:
            figures, document = self._figures(), self._document(running)
            with self._slot.writing():
                store(self._slot, figures)
                self._slot.set_document(document)
        except Exception as error:
            # The worker serves without figures. The first error is enough, because it would be repeated.
            if not self._failed:
                self._failed = True
                print_traceback(error)
        finally:
            self._lock.release()

    def _figures(self) -> dict[str, float]:
        server, counters = self._server, self._server.counters
        statuses = [sum(counters.statuses[start:start + 100]) for start in range(100, 600, 100)]
        lags = sorted(self._lags) or [0.0]
        return {
            **self._identity, "beat": self._beat, "rss": resident_bytes(),
            **{f"requests_{name}": count for name, count in
               zip(STATUS_CLASSES, [*statuses, sum(counters.statuses) - sum(statuses)])},
            **by_bucket("request_time", counters.request_times), "request_time_sum": counters.request_seconds,
            **by_bucket("lag", self._lag_times), "lag_sum": self._lag_sum,
            "lag_p50": lags[len(lags) // 2], "lag_p99": lags[len(lags) * 99 // 100], "lag_max": lags[-1],
            "shed": server.limits.shed, "timed_out": server.limits.timed_out, "client_gone": server.clients.count,
            "blocks": self._watchdog.block_count, "connections_refused": counters.connections_refused,
            "hub_seconds": counters.hub_seconds, "bytes_in": counters.bytes_in, "bytes_out": counters.bytes_out,
            **({f"recycled_{self.recycled}": 1.0} if self.recycled else {}),
            "in_flight": server.greenlets.count, "overdue": len(server.limits.overdue),
            "connections_open": server.connection_count, "connections_idle": server.waiting_count,
            "connections_taken_over": sum(connection.taken_over for connection in self._active().values()
                                          if not connection.is_closed),
            "greenlets": server.greenlets.total, **server.runs.figures(),
        }

    def _active(self) -> dict[Greenlet, Connection]:
        # A copy, because the hub's thread may change it meanwhile.
        return cast("dict[Greenlet, Connection]", self._server.greenlets.active.copy())

    def _document(self, running: FrameType | None) -> bytes:
        requests = self._requests(running)
        content = {"in_flight_requests": requests, "blocks": self._watchdog.recent_blocks(),
                   "measures_hub_time": self._server.measures_hub_time}
        while True:
            document = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
            if len(document) <= DOCUMENT_SIZE or not requests:
                return document
            del requests[len(requests) // 2:]

    def _requests(self, running: FrameType | None) -> list[dict[str, Any]]:
        found = []
        for greenlet, connection in self._active().items():
            response = connection.response
            if response is not None:
                found.append((response.started, greenlet, connection, response.req))
        now = monotonic()
        requests: list[dict[str, Any]] = []
        for started, greenlet, connection, request in nsmallest(REQUESTS, found, key=itemgetter(0)):
            # Only the greenlet that runs has no frame.
            frame: Any = getattr(greenlet, "gr_frame", None)
            state = ("overdue" if connection in self._server.limits.overdue
                     else "running" if frame is None else "waiting")
            requests.append({
                "method": request.method, "path": request.path[:PATH_LENGTH], "peer": connection.peer_name,
                "age": round(now - started, 3), "state": state,
                "stack": brief(frame or running, STACK_LENGTH) if len(requests) < STACKS else ""})
            del frame
        return requests
