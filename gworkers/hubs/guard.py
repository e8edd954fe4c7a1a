"""The guard around every callback that gworkers passes to a hub.

An exception that leaves a callback stops its watcher or loses the rest of its work. The heartbeat
continues, so the arbiter does not notice. Therefore each callback is a method with the decorator
:func:`hub_callback`, and the ``recover()`` method of its object handles an exception: it closes a
connection, or schedules a queue again.
"""
from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Callable, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gworkers.logs.queue import LogQueue

C = TypeVar("C", bound=Callable[..., None])


class Recoverable(Protocol):
    """An object with a method that is a hub callback."""

    @property
    def log(self) -> LogQueue:
        """Where to report an exception."""

    def recover(self) -> None:
        """Restore a consistent state after an exception has interrupted a callback."""


def hub_callback(method: C) -> C:
    """Decorate a method without arguments that a hub calls: :func:`contain` handles its exceptions."""

    @wraps(method)
    def guarded(self: Recoverable) -> None:
        try:
            method(self)
        except BaseException as error:
            contain(self, error)

    guarded.is_hub_callback = True  # type: ignore[attr-defined]
    return cast("C", guarded)


def contain(owner: Recoverable, error: BaseException) -> None:
    """Let *owner* recover, then report *error*.

    :raises BaseException: *error* itself, if it must end this process
    """
    if owner.log.ends_process(error):
        raise error
    description = str(owner)
    try:
        owner.recover()
    except BaseException as second:
        owner.log.failure(description, second)
    owner.log.failure(description, error)


@contextmanager
def contained(owner: Recoverable) -> Iterator[None]:
    """Return a context in which :func:`contain` handles exceptions, so that a loop over several owners continues."""
    try:
        yield
    except BaseException as error:
        contain(owner, error)
