"""The worker that this process is, for the functions that the application calls."""
from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, cast

from gworkers.serving.runs import Run

if TYPE_CHECKING:
    from gworkers.serving.connection import Connection
    from gworkers.serving.server import Server


class CurrentWorker:
    """The server of this process, if it is a worker that has started to serve."""

    server: Server | None = None

    def require(self, function: str) -> Server:
        """Return the server.

        :param function: the function that needs it
        :raises RuntimeError: if there is none
        """
        if self.server is None:
            raise RuntimeError(f"background.{function}() works in a gworkers worker that has started to serve. In "
                               f"other processes, and while the application is imported, call the function itself.")
        return self.server

    def spawn(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """See :func:`gworkers.background.spawn`."""
        server = self.require("spawn")
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


def _name_of(function: Callable[..., object]) -> str:
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


#: The worker of this process.
CURRENT_WORKER = CurrentWorker()
