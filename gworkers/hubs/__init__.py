"""The event loops that workers run on, each behind the protocol of :mod:`gworkers.hubs.base`.

A further hub is one module and one row in :data:`HUBS`.
"""
from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gworkers.hubs.base import Hub


class Backend(NamedTuple):
    """Where a hub comes from."""

    #: importable name of the library, and its name for pip
    library: str
    #: module of this package that adapts it
    module: str
    #: the parts of the standard library that it can patch
    parts: tuple[str, ...]
    #: module and attribute where it keeps a record of what it has patched
    record: tuple[str, str]
    #: a module of its own that it imports no earlier than when it patches
    patching: str


HUBS = {
    "gevent": Backend("gevent", "gworkers.hubs.gevent", (
        "socket", "dns", "time", "select", "thread", "os", "ssl", "subprocess", "sys", "builtins", "signal", "queue"),
        ("gevent.monkey", "saved"), "gevent.threading"),
    "eventlet": Backend("eventlet", "gworkers.hubs.eventlet", (
        "os", "select", "socket", "thread", "time", "builtins", "subprocess"),
        ("eventlet.patcher", "already_patched"), "eventlet.green.Queue"),
}


def patch(name: str, parts: Sequence[str]) -> None:
    """Import the library of the hub called *name* and let it patch *parts* of the standard library, or ``all``."""
    with warnings.catch_warnings():
        # Of the end of eventlet's support gworkers tells itself, once for all workers.
        warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
        module = import_module(HUBS[name].module)
    module.patch(parts)


def create(name: str) -> Hub:
    """Make the hub called *name* for this process; call it after :func:`patch` and after the fork."""
    return cast("Hub", import_module(HUBS[name].module).create())


def is_patched(name: str) -> bool:
    """Whether the library of the hub called *name* has patched anything in this process; does not import it."""
    return bool(patched(name))


def patched(name: str) -> list[str]:
    """Return what the library of the hub called *name* has patched in this process, in its own words."""
    module, attribute = HUBS[name].record
    # Among its names, gevent keeps some notes.
    return sorted(key for key in getattr(sys.modules.get(module), attribute, ()) if not key.startswith("_gevent"))
