"""The event loops that workers run on, each behind the protocol of :mod:`gworkers.hubs.base`.

A further hub is one module and one row in :data:`HUBS`.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub


class Backend(NamedTuple):
    """Where a hub comes from."""

    #: importable name of the library, and its name for pip
    library: str
    #: module of this package that adapts it
    module: str


HUBS = {
    "gevent": Backend("gevent", "gworkers.hubs.gevent"),
    "eventlet": Backend("eventlet", "gworkers.hubs.eventlet"),
}


def patch(name: str) -> None:
    """Import the library of the hub called *name* and let it patch the standard library."""
    import_module(HUBS[name].module).patch()


def create(name: str) -> Hub:
    """Make the hub called *name* for this process; call it after :func:`patch` and after the fork."""
    return cast("Hub", import_module(HUBS[name].module).create())
