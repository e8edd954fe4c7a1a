"""The event loops that workers run on, each behind the protocol of :mod:`gworkers.hubs.base`.

A further hub is one module and one row in :data:`HUBS`.
"""
from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

from gworkers.error_text import describe
from gworkers.errors import RequirementError
from gworkers.findings import Finding
from gworkers.versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    #: what is nothing worth to a worker if it is not patched: parts, by their names in that record
    vital: Mapping[str, str]
    #: a module of its own that it imports no earlier than when it patches
    patching: str


HUBS = {
    "gevent": Backend("gevent", "gworkers.hubs.gevent", (
        "socket", "dns", "time", "select", "thread", "os", "ssl", "subprocess", "sys", "builtins", "signal", "queue"),
        ("gevent.monkey", "saved"),
        {"socket": "socket", "ssl": "ssl", "select": "select", "threading": "thread", "time": "time"},
        "gevent.threading"),
    "eventlet": Backend("eventlet", "gworkers.hubs.eventlet", (
        "os", "select", "socket", "thread", "time", "builtins", "subprocess"),
        ("eventlet.patcher", "already_patched"),
        {"socket": "socket", "select": "select", "thread": "thread", "time": "time"}, "eventlet.green.Queue"),
}


def patch(name: str, parts: Sequence[str]) -> None:
    """Import the library of the hub called *name* and let it patch *parts* of the standard library, or ``all``.

    :raises RequirementError: if the library cannot do that
    """
    with _working(HUBS[name].library):
        with warnings.catch_warnings():
            # Of the end of eventlet's support gworkers tells itself, once for all workers.
            warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
            module = import_module(HUBS[name].module)
        module.patch(parts)


def create(name: str) -> Hub:
    """Make the hub called *name* for this process; call it after :func:`patch` and after the fork.

    :raises RequirementError: if its library cannot do that
    """
    with _working(HUBS[name].library):
        return cast("Hub", import_module(HUBS[name].module).create())


@contextmanager
def _working(library: str) -> Iterator[None]:
    """Whatever it is that *library* raises, it does not work, and what its user can do about that is the same."""
    try:
        yield
    except Exception as error:
        fix = f"pip install --upgrade --force-reinstall {library}"
        variables = sorted(name for name in os.environ if name.startswith(f"{library.upper()}_"))
        if variables:
            fix = f"Correct {' and '.join(variables)} in the environment, or {fix}"
        raise RequirementError(Finding(
            "library-broken",
            f"{library} {installed_version(library)} is installed but does not work ({describe(error)})",
            "the worker runs on it", fix, fatal=True)) from None


def patched_parts(name: str) -> list[str]:
    """Return what the library of the hub called *name* has patched in this process, in its own words."""
    module, attribute = HUBS[name].record
    # Among its names, gevent keeps some notes.
    return sorted(key for key in getattr(sys.modules.get(module), attribute, ()) if not key.startswith("_gevent"))


def unpatched_parts(name: str, parts: Sequence[str]) -> list[str]:
    """Return which vital ones of *parts* the library of the hub called *name* has not patched in this process."""
    done = patched_parts(name)
    return [part for key, part in HUBS[name].vital.items() if key not in done and ("all" in parts or part in parts)]


def other_patching_hub(name: str) -> str | None:
    """Return which other hub's library than that of *name* has patched this process, if one has."""
    return next((other for other in HUBS if other != name and patched_parts(other)), None)
