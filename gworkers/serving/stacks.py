"""Requests and the stacks of their greenlets, for reports. All functions may be called in any native thread."""
from __future__ import annotations

from time import monotonic
from traceback import StackSummary
from typing import TYPE_CHECKING, NamedTuple, cast

import greenlet as greenlet_module

from gworkers.serving import exchange
from gworkers.serving.runs import CALL_CODE

if TYPE_CHECKING:
    from traceback import FrameSummary
    from types import FrameType
    from typing import Any

    from gworkers.hubs.base import Greenlet
    from gworkers.serving.connection import Connection
    from gworkers.serving.runs import Run
    from gworkers.serving.server import Server

#: On PyPy the code of the outermost frame of a greenlet. Its f_back leads to the greenlet that has resumed this one.
GREENLET_START = getattr(getattr(greenlet_module, "_greenlet_start", None), "__code__", None)
#: The most frames of a stack in a report, counted from the innermost one.
DEPTH = 60


class RequestReport(NamedTuple):
    """One request in flight."""

    method: str
    #: the path without the query string, which may contain secrets
    path: str
    peer: str
    #: seconds since a greenlet began to serve it
    age: float
    #: ``running``, ``waiting``, or ``overdue`` after ``request_timeout``
    state: str
    #: the stack of its greenlet inside the application, the outermost frame first
    stack: StackSummary

    @property
    def name(self) -> str:
        """Method, path and peer."""
        return f"{self.method} {self.path} from {self.peer}"

    def __str__(self) -> str:
        return f"{self.name}, {self.age:.1f} s old"


class RunReport(NamedTuple):
    """One background function that runs."""

    kind: str
    name: str
    #: seconds since it was started
    age: float
    #: ``running`` or ``waiting``
    state: str
    #: its stack, the outermost frame first
    stack: StackSummary

    def __str__(self) -> str:
        return f"{self.name} ({self.kind}), {self.age:.1f} s old"


def stack_of(frame: FrameType | None) -> StackSummary:
    """Return the stack that ends in *frame*, the outermost frame first, without the frames that serve a request.

    Source lines are read when the summary is formatted.
    """
    frames: list[FrameType] = []
    outermost = (exchange.serve.__code__, CALL_CODE, GREENLET_START)
    while frame is not None and frame.f_code not in outermost and len(frames) < DEPTH:
        frames.append(frame)
        frame = frame.f_back
    summary = StackSummary.extract(((each, each.f_lineno) for each in frames), lookup_lines=False)
    summary.reverse()
    return summary


def brief(frame: FrameType | None, length: int) -> str:
    """Return the stack that ends in *frame*, the outermost frame first, without source lines.

    :param length: the most characters to return, of the innermost frames
    """
    lines: list[str] = []
    while frame is not None and frame.f_code is not exchange.serve.__code__ and len(lines) < DEPTH:
        lines.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        frame = frame.f_back
    return "\n".join(reversed(lines))[-length:]


def requests_in_flight(server: Server, running: FrameType | None) -> list[RequestReport]:
    """Return the requests that greenlets serve, the oldest first.

    :param running: the innermost frame of the hub's thread
    """
    active = cast("dict[Greenlet, Connection]", server.greenlets.active)
    reports = [report_of(server, greenlet, connection, running) for greenlet, connection in list(active.items())]
    return sorted((report for report in reports if report is not None), key=lambda report: -report.age)


def report_of(server: Server, greenlet: Greenlet, connection: Connection,
              running: FrameType | None) -> RequestReport | None:
    """Return the request of *connection*, which *greenlet* serves; None if it has just ended.

    :param running: the innermost frame of the hub's thread
    """
    response = connection.response
    if response is None or greenlet.dead:
        return None
    is_running = connection is served_by(running)
    # On CPython the greenlet that runs has no frame.
    frame: Any = running if is_running else getattr(greenlet, "gr_frame", None)
    state = "running" if is_running else "overdue" if connection in server.limits.overdue else "waiting"
    return RequestReport(response.req.method, response.req.path, connection.peer_name, monotonic() - response.started,
                         state, stack_of(frame))


def runs_in_background(server: Server, running: FrameType | None) -> list[RunReport]:
    """Return the background functions that run, the oldest first.

    :param running: the innermost frame of the hub's thread
    """
    now = monotonic()
    reports = []
    for greenlet, run in list(server.runs.active.items()):
        is_running = run is run_of(running)
        frame: Any = running if is_running else getattr(greenlet, "gr_frame", None)
        reports.append(RunReport(run.kind, run.name, now - run.started, "running" if is_running else "waiting",
                                 stack_of(frame)))
    return sorted(reports, key=lambda report: -report.age)


def run_of(frame: FrameType | None) -> Run | None:
    """Return the background function whose stack ends in *frame*; None if it is that of other code."""
    while frame is not None and frame.f_code is not CALL_CODE:
        frame = None if frame.f_code is GREENLET_START else frame.f_back
    return None if frame is None else frame.f_locals.get("run")


def served_by(frame: FrameType | None) -> Connection | None:
    """Return the connection of the request whose stack ends in *frame*; None if it is that of other code."""
    while frame is not None and frame.f_code is not exchange.serve.__code__:
        frame = None if frame.f_code is GREENLET_START else frame.f_back
    return None if frame is None else frame.f_locals.get("connection")


def place(frame: FrameSummary) -> str:
    """Return file, line and function of *frame*."""
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


def text(stack: StackSummary) -> str:
    """Return *stack* as indented lines, the innermost frame last, without a line end."""
    return "".join(stack.format()).rstrip("\n")
