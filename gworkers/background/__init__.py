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

import os
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from gworkers.background.file_change import FileChange
from gworkers.background.registry import ONE, REGISTRY, Target
from gworkers.background.signals import Signal, encode
from gworkers.background.triggers import Timer, Trigger
from gworkers.errors import SendError

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["SendError", "cron", "on_file_change", "send", "signal", "spawn", "timer"]

F = TypeVar("F", bound=Callable[..., object])


def spawn(function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    """Call *function* in a greenlet of its own: after the response if this is called in a request, else at once.

    It runs in a copy of the present context (:mod:`contextvars`). An exception is logged.

    :raises RuntimeError: outside of a gworkers worker that has started to serve
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
    :raises TypeError: if the decorated object is not a function, or has other parameters
    :raises ValueError: if an argument is invalid, or the name is not unique
    """
    return _registering(Timer(seconds), worker, overlap, name)


def cron(expression: str, *, tz: str | tzinfo | None = None, worker: Target = ONE, overlap: bool = False,
         name: str | None = None) -> Callable[[F], F]:
    """Decorate a function without parameters: it is called at the times of a cron expression.

    :param expression: as in crontab(5), such as ``*/5 * * * *``; with six fields the first one is that of the seconds
    :param tz: the time zone, such as ``Europe/Berlin``; the local one by default
    :raises ImportError: if cronsim is not installed
    :raises ValueError: if an argument is invalid, or the name is not unique

    The other parameters and exceptions are those of :func:`timer`.
    """
    from gworkers.background.cron_expression import Cron, zone_of

    return _registering(Cron(expression, zone_of(tz)), worker, overlap, name)


def on_file_change(path: str | os.PathLike[str], *, worker: Target = ONE, overlap: bool = False,
                   name: str | None = None) -> Callable[[F], F]:
    """Decorate a function without parameters: it is called after a file was changed, created or removed.

    :param path: the file, or a directory with all files below it
    :raises ImportError: if watchfiles is not installed
    :raises ValueError: if an argument is invalid, or the name is not unique

    The other parameters and exceptions are those of :func:`timer`.
    """
    return _registering(FileChange(os.path.abspath(os.fspath(path))), worker, overlap, name)


def signal(signal: str, *, worker: Target = ONE, overlap: bool = False,
           name: str | None = None) -> Callable[[F], F]:
    """Decorate a function with one parameter: it is called with the payload of each message of a signal.

    :param signal: the name of the signal, as in :func:`send`
    :param overlap: whether it is called although the previous call has not ended; otherwise messages wait
    :raises ValueError: if an argument is invalid, or the name is not unique

    The other parameters and exceptions are those of :func:`timer`.
    """
    return _registering(Signal(signal), worker, overlap, name)


def send(signal: str, payload: object = None, *, server: str | int | None = None) -> None:
    """Send a message, which starts the handlers of a signal in the workers of a server.

    :param signal: the name of the signal
    :param payload: a value that JSON has a form for, at most 64 KiB
    :param server: None in a worker: its own server. In other processes of this machine: the process id of a master or
        worker, the path of a pidfile, or an address that the server listens on, such as ``127.0.0.1:8000``
    :raises RuntimeError: in a process that is no worker, without *server*
    :raises SendError: if there is no room for the message, or no worker accepts it
    :raises TypeError: if JSON has no form for the payload
    :raises ValueError: if the payload is too long, or no handler is registered in this worker
    """
    encoded = encode(payload)
    if server is not None:
        from gworkers.background import remote

        remote.send(server, signal, encoded)
    else:
        from gworkers.background.current import CURRENT_WORKER

        CURRENT_WORKER.send(signal, encoded)


def _registering(trigger: Trigger, worker: Target, overlap: bool, name: str | None) -> Callable[[F], F]:
    def register(function: F) -> F:
        REGISTRY.add(trigger, function, worker, overlap, name)
        return function

    return register
