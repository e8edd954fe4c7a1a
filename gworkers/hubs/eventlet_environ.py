"""The entries of eventlet's own WSGI server in each environ, which applications for eventlet use.

https://eventlet.readthedocs.io/en/latest/modules/wsgi.html describes them.
"""
from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gworkers.hubs.base import CurrentRequest

    Posthook = tuple[Callable[..., object], Sequence[Any], Mapping[str, Any]]


def entries(request: CurrentRequest) -> dict[str, object]:
    """Return the entries. They act on *request*."""
    return {"eventlet.input": Input(request), "eventlet.posthooks": Posthooks(request),
            "eventlet.set_idle": request.end_in_drain}


class Posthooks:
    """The value of ``environ["eventlet.posthooks"]``: functions to call after the response.

    Each item is ``(function, args, kwargs)``; the function gets the environ before *args*.
    """

    def __init__(self, request: CurrentRequest) -> None:
        self._request = request

    def append(self, hook: Posthook) -> None:
        """Add *hook*."""
        function, args, kwargs = hook
        self._request.call_after(partial(function, self._request.environ, *args, **kwargs))

    def extend(self, hooks: Iterable[Posthook]) -> None:
        """Add *hooks*."""
        for hook in hooks:
            self.append(hook)

    def __iadd__(self, hooks: Iterable[Posthook]) -> Posthooks:
        self.extend(hooks)
        return self


class Input:
    """The value of ``environ["eventlet.input"]``: the body of the request, whatever is in ``wsgi.input``."""

    def __init__(self, request: CurrentRequest) -> None:
        self._request = request

    def get_socket(self) -> Any:
        """Return the socket of the client, for an application that uses it itself."""
        return self._request.socket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request.body, name)

    def __iter__(self) -> Any:
        return iter(self._request.body)
