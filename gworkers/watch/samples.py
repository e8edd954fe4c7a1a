"""Samples of what the hub's thread executes, each for the time since the previous one."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from gworkers.serving import exchange
from gworkers.serving.runs import CALL_CODE
from gworkers.serving.stacks import GREENLET_START, run_of, served_by

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from gworkers.hubs.base import Hub

#: The most frames of a stack, counted from the innermost one, and the most different stacks.
DEPTH, STACKS = 150, 20_000
#: Stands for code of the hub, of the worker itself, and for stacks above :data:`STACKS`.
HUB, WORKER, REST = "(hub)", "(worker)", "(other stacks)"
#: Stands for CPU time of the hub's thread before a sample that finds the hub polling.
UNKNOWN = "(not sampled)"


class Samples:
    """The stacks of one profile.

    :param hub: the hub
    :param current_path: returns the path of the request that runs
    """

    def __init__(self, hub: Hub, current_path: Callable[[], str]) -> None:
        self._is_polling = hub.is_polling
        self._current_path = current_path
        #: by the id() of their functions, the outermost one last, and what they belong to
        self._stacks: dict[tuple[object, ...], tuple[str, list[CodeType]]] = {}
        self._seconds: dict[tuple[object, ...], float] = {}
        self.count = 0
        #: seconds in which the hub waited for events
        self.idle = 0.0

    def add(self, frame: FrameType, seconds: float, cpu: float) -> None:
        """Add a sample.

        :param frame: the innermost frame of the hub's thread
        :param seconds: since the previous sample
        :param cpu: the CPU time of the hub's thread in these seconds
        """
        self.count += 1
        if self._is_polling(frame):
            # The poll releases the interpreter's lock, so a hub that works is often sampled there, too.
            self.idle += max(seconds - cpu, 0.0)
            self._add((UNKNOWN,), UNKNOWN, [], cpu)
            return
        functions: list[CodeType] = []
        owner = ""
        outer: FrameType | None = frame
        while outer is not None:
            frame = outer
            functions.append(frame.f_code)
            if frame.f_code is exchange.serve.__code__:
                owner = self._current_path() or _path_of(frame)
                break
            if frame.f_code is CALL_CODE:
                owner = _run_name(frame)
                break
            if frame.f_code is GREENLET_START:
                break
            outer = frame.f_back
        self._add((owner, *map(id, functions)), owner or self._greenlet_name(frame), functions, seconds)

    def _add(self, key: tuple[object, ...], owner: str, functions: list[CodeType], seconds: float) -> None:
        if key not in self._stacks:
            if len(self._stacks) >= STACKS:
                key, owner, functions = (REST,), REST, []
            # The reference to each function keeps its id() unique.
            self._stacks[key] = (owner, functions)
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def _greenlet_name(self, outermost: FrameType) -> str:
        """Return a name for a greenlet that serves no request."""
        if self._is_polling(outermost):
            return HUB
        module = outermost.f_globals.get("__name__", "")
        if module.startswith("gworkers."):
            return WORKER
        return f"greenlet {module}.{_name(outermost.f_code)}"

    def result(self) -> dict[str, Any]:
        """Return the stacks in a form for JSON: their functions by index, the outermost one first."""
        indexes: dict[CodeType, int] = {}
        stacks = []
        for key, (owner, functions) in self._stacks.items():
            numbers = [indexes.setdefault(function, len(indexes)) for function in reversed(functions[:DEPTH])]
            stacks.append([owner, numbers, round(self._seconds[key], 6)])
        return {"samples": self.count, "idle": self.idle, "stacks": stacks,
                "functions": [[_name(each), each.co_filename, each.co_firstlineno] for each in indexes]}


def _run_name(frame: FrameType) -> str:
    """Return a name for the background function whose stack ends in *frame*."""
    run = run_of(frame)
    return "" if run is None else f"background {run.name}"


def _path_of(frame: FrameType) -> str:
    """Return the path of the request whose stack ends in *frame*."""
    connection = served_by(frame)
    return "" if connection is None or connection.response is None else str(connection.response.req.path)


def _name(function: CodeType) -> str:
    # Python before 3.11 has no qualified names.
    return getattr(function, "co_qualname", function.co_name)
