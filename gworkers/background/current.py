"""The worker that this process is, for the functions that the application calls."""
from __future__ import annotations

from contextvars import copy_context
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any, Callable, cast

from gworkers.background.messages import key_of
from gworkers.background.registry import REGISTRY
from gworkers.background.signals import encode
from gworkers.errors import SendError
from gworkers.serving.runs import Run

if TYPE_CHECKING:
    from gworkers.background.scheduler import Scheduler
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server


#: What to do in other processes.
INSTEAD = {"spawn": "In other processes call the function itself.", "send": "In other processes pass server=."}


class CurrentWorker:
    """The server of this process, if it is a worker that has started to serve."""

    server: Server | None = None
    scheduler: Scheduler

    def require(self, function: str) -> Server:
        """Return the server.

        :param function: the function that needs it
        :raises RuntimeError: if there is none
        """
        if self.server is None:
            raise RuntimeError(f"background.{function}() works in a gworkers worker that has started to serve, not "
                               f"while the application is imported. {INSTEAD[function]}")
        return self.server

    def spawn(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """See :func:`gworkers.background.spawn`."""
        server = self.require("spawn")
        if server.worker.forking_greenlet is not None:
            raise RuntimeError("background.spawn() does not work in a process that a worker has forked, because the "
                               "process ends first. Call the function itself.")
        if not callable(function):
            raise TypeError(f"spawn() needs a function and its arguments, not {function!r}")
        run = Run("spawn", _name_of(function), partial(function, *args, **kwargs), copy_context())
        # In another native thread the current greenlet is not in this dictionary.
        connection = cast("Connection | None", server.greenlets.active.get(server.hub.current_greenlet()))
        response = None if connection is None else connection.response
        if response is None:
            server.runs.start(run)
        else:
            response.call_after(partial(server.runs.start, run))

    def send(self, name: str, payload: bytes) -> None:
        """Send a signal from this process, a worker or a process that it has forked."""
        self.require("send")
        _require_handler(name)
        self.scheduler.messages.add(key_of(name), payload, partial(sleep, 0.001))
        self.scheduler.ring()

    def control(self, request: dict[str, Any], client: object) -> dict[str, Any]:
        """Send a signal for another process: the command ``send`` of the control socket. In a native thread."""
        try:
            name = request["name"]
            _require_handler(name)
            self.scheduler.messages.add(key_of(name), encode(request["payload"]), self._native_pause)
        except (KeyError, TypeError, ValueError, SendError) as error:
            return {"error": str(error)}
        self.scheduler.ring()
        return {}

    def _native_pause(self) -> None:
        self.scheduler.hub.native_poll().poll(1)


def _require_handler(name: str) -> None:
    if not REGISTRY.has_signal(name):
        raise ValueError(f"no handler of the signal {name!r} is registered in this worker. Import the module that "
                         f"registers it, or correct the name")


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


#: The worker of this process.
CURRENT_WORKER = CurrentWorker()
