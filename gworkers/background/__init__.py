"""Background work of an application: functions that run after a response, at times, and on events.

::

    from gworkers import background

    @background.timer(60)
    def remove_expired_sessions(): ...

    def order(request):
        background.spawn(send_confirmation, request.user)

docs/background.md describes what is guaranteed. Importing this package imports no hub library.
"""
from __future__ import annotations

from typing import Any, Callable, TypeVar

from gworkers.background.registry import ONE, REGISTRY, Target
from gworkers.background.triggers import Timer, Trigger

__all__ = ["spawn", "timer"]

F = TypeVar("F", bound=Callable[..., object])


def spawn(function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """Call *function* in a greenlet of its own: after the response if this is called in a request, else at once.

    It runs in a copy of the present context (:mod:`contextvars`). An exception is logged.

    :raises RuntimeError: outside of a gworkers worker
    """
    from gworkers.background.current import CURRENT_WORKER

    CURRENT_WORKER.spawn(function, *args, **kwargs)


def timer(seconds: float, *, worker: Target = ONE, overlap: bool = False,
          name: str | None = None) -> Callable[[F], F]:
    """Decorate a function without parameters: it is called each *seconds*.

    :param seconds: the period; the first call is one period after the start of the server
    :param worker: ``"one"``: in one worker of the server; ``"every"``: in each worker; a number: in this worker
    :param overlap: whether it is called although the previous call has not ended
    :param name: identifies the handler in the server; ``module:qualname`` of the function by default
    :raises TypeError: if the decorated object is not a function
    :raises ValueError: if an argument is invalid, or the name is not unique
    """
    return _registering(Timer(seconds), worker, overlap, name)


def _registering(trigger: Trigger, worker: Target, overlap: bool, name: str | None) -> Callable[[F], F]:
    def register(function: F) -> F:
        REGISTRY.add(trigger, function, worker, overlap, name)
        return function

    return register
