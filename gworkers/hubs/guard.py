"""The guard through which every callback runs that gworkers gives to a hub.

A hub runs callbacks in a greenlet of its own. An exception that leaves one stops the watcher
behind it, or loses the rest of the callback's work, while the heartbeat goes on: the worker is
alive and deaf. So each callback is a method with :func:`hub_callback`, and its object says in
``recover()`` what to do after an exception: a connection is closed, a queue is scheduled again.
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
    """What has a callback in the hub."""

    @property
    def log(self) -> LogQueue:
        """Where to report an exception."""

    def recover(self) -> None:
        """Bring this into a defined state after a callback was interrupted by an exception."""


def hub_callback(method: C) -> C:
    """Decorate a method without arguments that a hub calls: whatever it raises is contained."""

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

    :raises BaseException: *error* itself, if it is to end this process
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
    """Return the context of something done for *owner*, one of several: the others go on whatever it raises."""
    try:
        yield
    except BaseException as error:
        contain(owner, error)
