"""The handlers that the application has registered: what runs, when, and in which workers."""
from __future__ import annotations

import inspect
from dataclasses import dataclass
from hashlib import blake2b
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Callable, Union

from gworkers.call_error import call_error

if TYPE_CHECKING:
    from gworkers.background.triggers import Trigger

#: The workers that run a handler: one of the server, every one, or the one with this number.
Target = Union[str, int]

ONE, EVERY = "one", "every"
#: The parameters of a handler by their number, for messages.
PARAMETERS = ("no parameters", "one parameter, the payload")


@dataclass(frozen=True)
class Handler:
    """A function of the application, and what starts it."""

    #: unique in the application, and the same in all workers
    name: str
    function: Callable[..., object]
    trigger: Trigger
    worker: Target
    #: whether it is started although it still runs
    overlap: bool

    @property
    def key(self) -> bytes:
        """16 bytes that identify the handler in the shared file."""
        return blake2b(f"{self.trigger.kind}\0{self.name}\0{self.worker}".encode("utf-8", "surrogatepass"),
                       digest_size=16).digest()

    def runs_in(self, number: int) -> bool:
        """Whether worker *number* may run it."""
        return self.worker in (ONE, EVERY, number)


class Registry:
    """The handlers of this process by name, in the order in which they were registered."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        #: called after a handler was registered
        self.on_change: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._handlers)

    def has_signal(self, name: str) -> bool:
        """Return whether a handler of the signal *name* is registered."""
        signals = [getattr(handler.trigger, "signal", None) for handler in self._handlers.values()]
        # Another process may send another value as the name. Timers have no signal, which is None here.
        return isinstance(name, str) and name in signals

    def handlers(self) -> list[Handler]:
        """Return all handlers."""
        return list(self._handlers.values())

    def add(self, trigger: Trigger, function: Callable[..., object], worker: Target, overlap: bool,
            name: str | None) -> None:
        """Register *function*.

        :raises TypeError: if *function* cannot be called with what the trigger passes, or only returns a coroutine
        :raises ValueError: if the name is missing or is not unique, or *worker* is invalid
        """
        if not callable(function):
            raise TypeError(f"{function!r} cannot be called. Decorate a function, below all other decorators.")
        if inspect.iscoroutinefunction(function):
            raise TypeError(f"{name_of(function)} is a coroutine function, which nothing would await. Decorate a "
                            f"function that calls gworkers.run_async().")
        mismatch = _mismatch(function, trigger.parameters)
        if mismatch is not None:
            raise TypeError(f"{name_of(function)} cannot be called: {mismatch}. A function for "
                            f"background.{trigger.use} has {PARAMETERS[trigger.parameters]}.")
        if worker not in (ONE, EVERY) and (type(worker) is not int or worker < 1):
            raise ValueError(f"worker must be {ONE!r}, {EVERY!r} or the number of a worker from 1 on, not {worker!r}")
        name = name_of(function) if name is None else name
        earlier = self._handlers.get(name)
        if earlier is not None and not _is_same(earlier.function, function):
            raise ValueError(f"two background handlers have the name {name!r}. Their runs could not be told apart. "
                             f"Pass a different name= to one of them.")
        for other in self._handlers.values():
            if (other.trigger == trigger and _is_same(other.function, function)
                    and other.function.__module__ != function.__module__):
                raise ValueError(f"the background handler {name!r} is the same function as {other.name!r}: its file "
                                 f"was imported under two module names, and it would run twice. Import it under one.")
        self._handlers[name] = Handler(name, function, trigger, worker, overlap)
        if self.on_change is not None:
            self.on_change()


def name_of(function: Any) -> str:
    """Return ``module:qualname`` of *function*.

    :raises ValueError: if it has none
    """
    try:
        return f"{function.__module__}:{function.__qualname__}"
    except AttributeError:
        raise ValueError(f"{function!r} has no name that is the same in all workers. Pass name=") from None


def _mismatch(function: Any, arguments: int) -> str | None:
    """Return why *function* cannot be called with *arguments*. None if it can, or if it is not known."""
    if isinstance(function, MethodType):
        return _mismatch(function.__func__, arguments + 1)
    # PyPy's built-in functions are FunctionType objects too, but have another type of code.
    is_known = isinstance(function, FunctionType) and isinstance(function.__code__, CodeType)
    return call_error(function, arguments) if is_known else None


def _is_same(one: Any, other: Any) -> bool:
    """Whether both are the same function of a file that was executed twice, as ``importlib.reload()`` does."""
    first, second = (getattr(inspect.unwrap(each), "__code__", None) for each in (one, other))
    if first is None or second is None or "<locals>" in one.__qualname__:
        return False
    return bool(first.co_filename == second.co_filename and first.co_firstlineno == second.co_firstlineno)


#: The registry of this process. With ``preload_app`` the master fills it, and its workers inherit it.
REGISTRY = Registry()
