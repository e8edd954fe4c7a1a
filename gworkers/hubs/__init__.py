"""The event loops that workers run on. Each implements the protocol in :mod:`gworkers.hubs.base`.

A new hub is one module and one row in :data:`HUBS`. docs/design.md describes the steps.
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
from gworkers.gunicorn_differences import RELEASE
from gworkers.versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gworkers.hubs.base import Hub


class HubLibrary(NamedTuple):
    """A library that provides a hub."""

    #: import name of the library, which is also its name for pip
    library: str
    #: the module that adapts it, with the functions ``patch(parts)`` and ``create()``
    module: str
    #: the parts of the standard library that it can patch, as the setting ``patch`` names them
    parts: tuple[str, ...]
    #: module and attribute in which it records what it has patched: a container of names, empty before the patch
    patch_record: tuple[str, str]
    #: the parts that a worker needs patched, by their names in that record
    required_parts: Mapping[str, str]
    #: the first line of a gunicorn.conf.py that patches the master
    master_patch_code: str
    #: a module of the library that is imported when it patches and not earlier. None if there is none: then all
    #: modules of a patched master are checked as if they were imported before the patch.
    imported_by_patch: str | None = None


#: The hubs by ``hub_name`` of their worker classes. A hub outside the package adds its row when the module of its
#: worker class is imported.
HUBS: dict[str, HubLibrary] = {
    "gevent": HubLibrary(
        library="gevent",
        module="gworkers.hubs.gevent",
        parts=("socket", "dns", "time", "select", "thread", "os", "ssl", "subprocess", "sys", "builtins", "signal",
               "queue"),
        patch_record=("gevent.monkey", "saved"),
        required_parts={"socket": "socket", "ssl": "ssl", "select": "select", "threading": "thread", "time": "time"},
        master_patch_code="from gevent import monkey; monkey.patch_all()",
        imported_by_patch="gevent.threading"),
    "eventlet": HubLibrary(
        library="eventlet",
        module="gworkers.hubs.eventlet",
        parts=("os", "select", "socket", "thread", "time", "builtins", "subprocess"),
        patch_record=("eventlet.patcher", "already_patched"),
        required_parts={"socket": "socket", "select": "select", "thread": "thread", "time": "time"},
        # Gunicorn 23's master calls os.write() in places where eventlet's version fails.
        master_patch_code=f"import eventlet; eventlet.monkey_patch({'os=False' if RELEASE < (24,) else ''})",
        imported_by_patch="eventlet.green.Queue"),
}


def patch(name: str, parts: Sequence[str]) -> None:
    """Import the library of the hub *name* and patch *parts* of the standard library, or ``all``.

    :raises RequirementError: if the library fails
    """
    with _library_errors(HUBS[name].library):
        with warnings.catch_warnings():
            # gworkers itself reports the end of eventlet's support, once for all workers.
            warnings.filterwarnings("ignore", r"\s*Eventlet is deprecated")
            module = import_module(HUBS[name].module)
        module.patch(parts)


def create(name: str) -> Hub:
    """Create the hub *name* of this process. Call it after :func:`patch` and after the fork.

    :raises RequirementError: if the library fails
    """
    with _library_errors(HUBS[name].library):
        return cast("Hub", import_module(HUBS[name].module).create())


@contextmanager
def _library_errors(library: str) -> Iterator[None]:
    """Convert every exception of *library* to a RequirementError, because the fix is always the same."""
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
            "the worker requires it", fix, fatal=True)) from None


def patched_parts(name: str) -> list[str]:
    """Return what the library of the hub *name* has patched in this process, as the library names it."""
    module, attribute = HUBS[name].patch_record
    # gevent stores private entries in the same record.
    return sorted(key for key in getattr(sys.modules.get(module), attribute, ()) if not key.startswith("_gevent"))


def unpatched_parts(name: str, parts: Sequence[str]) -> list[str]:
    """Return the required members of *parts* that the hub *name* has not patched in this process."""
    done = patched_parts(name)
    return [part for key, part in HUBS[name].required_parts.items()
            if key not in done and ("all" in parts or part in parts)]


def other_patching_hub(name: str) -> str | None:
    """Return another hub than *name* whose library has patched this process; None if there is none."""
    return next((other for other in HUBS if other != name and patched_parts(other)), None)
