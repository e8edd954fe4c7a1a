"""The greenlets of a worker for ``gworkers stacks``: those of requests, and the application's own, by their stacks."""
from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, cast

from greenlet import greenlet

from gworkers.serving.stacks import GREENLET_START, report_of, runs_in_background, stack_of, text
from gworkers.watch.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from gworkers.hubs.base import Greenlet
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server
    from gworkers.watch.hub_thread import HubThread

#: The most requests, and the most different stacks of other greenlets, in a report.
REQUESTS, GROUPS = 1000, 200
#: Objects that are examined without a pause.
CHUNK = 5000


class GreenletReport:
    """Describes all greenlets. Create it in the hub's thread, and call :meth:`make` in another one.

    :param server: the server of the worker
    :param hub_thread: the native thread of the hub
    """

    def __init__(self, server: Server, hub_thread: HubThread) -> None:
        self._server = server
        self._hub_thread = hub_thread

    def make(self, request: dict[str, Any], client: object) -> dict[str, Any]:
        """Return the report. This is the command ``stacks`` of the control socket."""
        pause = Pause(self._server.hub.native_poll())
        # A copy, because greenlets start and end meanwhile.
        active = dict(cast("dict[Greenlet, Connection]", self._server.greenlets.active))
        background = list(self._server.runs.active)
        runs = [{**report._asdict(), "stack": text(report.stack)}
                for report in runs_in_background(self._server, self._hub_thread.frame())]
        requests = list(self._requests(active, pause))
        requests.sort(key=lambda report: -report["age"])
        idle = set(self._server.greenlets.idle)
        groups, count = self._groups({*map(id, active), *map(id, idle), *map(id, background),
                                       id(self._hub_thread.greenlet)}, pause)
        return {"requests": requests[:REQUESTS], "request_count": len(requests),
                "background": runs[:REQUESTS], "background_count": len(runs), "groups": groups,
                "greenlet_count": count, "idle": len(idle), "queued": self._server.greenlets.queued}

    def _requests(self, active: dict[Greenlet, Connection], pause: Pause) -> Iterator[dict[str, Any]]:
        for each, connection in active.items():
            pause()
            report = report_of(self._server, each, connection, self._hub_thread.frame())
            if report is not None:
                yield {**report._asdict(), "stack": text(report.stack)}

    def _groups(self, excluded: set[int], pause: Pause) -> tuple[list[dict[str, Any]], int]:
        """Return the greenlets outside of requests by state and stack, the largest group first, and their number.

        :param excluded: the id() of greenlets to leave out
        """
        groups: dict[tuple[str, str], int] = {}
        total = 0
        for each in self._greenlets(pause):
            pause()
            # A main greenlet has no parent. A greenlet that has not started or has ended is false.
            if id(each) in excluded or each.parent is None or not each:
                continue
            frame = each.gr_frame
            if frame is None and not self._is_below_hub(each):
                # It runs in another native thread.
                continue
            state = "waiting" if frame is not None else "running"
            if frame is None:
                frame = self._hub_thread.frame()
            if frame is None or _is_of_server(frame):
                continue
            key = (state, text(stack_of(frame)))
            total += 1
            if key in groups or len(groups) < GROUPS:
                groups[key] = groups.get(key, 0) + 1
        ordered = sorted(groups.items(), key=lambda item: -item[1])
        return [{"state": state, "count": count, "stack": stack} for (state, stack), count in ordered], total

    def _is_below_hub(self, each: Any) -> bool:
        while each is not None and each is not self._hub_thread.greenlet:
            each = each.parent
        return each is not None

    def _greenlets(self, pause: Pause) -> list[Any]:
        """Return all greenlets of the process."""
        objects = gc.get_objects()
        found: list[Any] = []
        for start in range(0, len(objects), CHUNK):
            # Not isinstance(), which calls code of the application if an object pretends to have another class.
            found += [each for each in objects[start:start + CHUNK] if issubclass(type(each), greenlet)]
            pause()
        # An object that has no other reference by now ends in the hub's thread, where its finalizer may use the hub.
        self._hub_thread.call_later(objects.clear)
        return found


def _is_of_server(frame: FrameType) -> bool:
    """Whether the outermost function of a stack is one of gworkers."""
    while frame.f_back is not None and frame.f_back.f_code is not GREENLET_START:
        frame = frame.f_back
    return bool(frame.f_globals.get("__name__", "").startswith("gworkers."))
