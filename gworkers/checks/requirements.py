"""The requirements of a worker: interpreter, greenlet, the hub's library, and a compatible pair of the last two.

greenlet is checked before the library that is built on it is imported, because an incompatible one can crash the
process.
"""
from __future__ import annotations

import sys
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gworkers.error_text import describe
from gworkers.findings import Finding
from gworkers.versions import Version, format_version, installed_version, parse_version

#: The first release in which each greenlet has its own context, on all platforms.
MINIMUM_GREENLET: Version = (1, 0)
#: The first PyPy with this feature. The greenlet that is part of PyPy always has the version 0.4.13.
MINIMUM_PYPY: Version = (7, 3, 7)


@dataclass(frozen=True)
class Minimum:
    """The oldest supported release of a library, and the reason why older ones are refused."""

    release: Version
    reason: str


MINIMUM_RELEASES = {
    # https://github.com/gevent/gevent/blob/master/CHANGES.rst
    "gevent": Minimum((24, 10, 3), "with older releases, on Python 3.13, other greenlets of a patched master continue "
                                   "in its forked workers"),
    # https://github.com/eventlet/eventlet/pull/1047, https://github.com/eventlet/eventlet/pull/1062
    "eventlet": Minimum((0, 40, 3), "before 0.40.1 a forked worker loses track of its threads, and before 0.40.3 "
                                    "eventlet's own server lets a request be smuggled in trailers"),
}


@dataclass(frozen=True)
class Incompatibility:
    """A range of releases of a library that is incompatible with a range of greenlet releases.

    A range is its first release and the first release after it.
    """

    library: str
    releases: tuple[Version, Version]
    greenlets: tuple[Version, Version]
    impact: str
    #: what to install
    fix: str
    #: whether a worker cannot serve with it
    fatal: bool = False


#: A version above all releases.
NO_LIMIT: Version = (sys.maxsize,)
LOCKS = "locks raise RuntimeError while a process ends"
INCOMPATIBILITIES = (
    # gevent is built for greenlet 2 or newer, whose objects have another memory layout.
    Incompatibility("gevent", ((), NO_LIMIT), ((1,), (2,)), "workers crash as soon as they start",
                    "'greenlet>=3.1.1'", fatal=True),
    # https://github.com/python-greenlet/greenlet/issues/524
    Incompatibility("gevent", ((), NO_LIMIT), ((3, 4), (3, 5)), "a process may crash when it ends",
                    "'greenlet>=3.5.1' 'gevent>=26.5'"),
    Incompatibility("gevent", ((), (26, 5)), ((3, 5, 1), NO_LIMIT), LOCKS, "'gevent>=26.5'"),
    # https://github.com/eventlet/eventlet/pull/1101
    Incompatibility("eventlet", ((), (0, 41, 2)), ((3, 5, 1), NO_LIMIT), LOCKS, "'eventlet>=0.41.2'"),
)
CONTEXT_IMPACT = "a request would see the request, session and other context variables of another one"


@dataclass(frozen=True)
class Runtime:
    """The facts about interpreter, greenlet and library that the requirements are about."""

    #: version of PyPy; None on CPython
    pypy: Version | None
    #: version of greenlet; None if it cannot be imported
    greenlet: str | None
    #: whether a context variable set in one greenlet was invisible in another
    isolates_contexts: bool
    #: name of the hub's library
    library: str
    #: its version; None if it is not installed
    release: str | None
    #: the error when greenlet was imported, if it is installed but cannot be imported
    greenlet_error: str | None = None


def inspect_runtime(library: str) -> Runtime:
    """Return the runtime of a worker on *library*. This imports greenlet, but not *library*."""
    pypy = getattr(sys, "pypy_version_info", None)
    greenlet_error = None
    try:
        greenlet: Any = import_module("greenlet")
        # An incompletely removed package can be imported, but lacks this attribute.
        greenlet.greenlet  # noqa: B018
    except Exception as error:
        greenlet = None
        greenlet_error = describe(error) if installed_version("greenlet") is not None else None
    return Runtime(
        pypy=tuple(pypy[:3]) if pypy is not None else None,
        greenlet=getattr(greenlet, "__version__", None),
        isolates_contexts=greenlet is not None and isolates_contexts(greenlet),
        library=library,
        release=installed_version(library),
        greenlet_error=greenlet_error,
    )


def isolates_contexts(module: Any) -> bool:
    """Return whether a context variable set in one greenlet of *module* is invisible in another, by trying it."""
    greenlet, getcurrent = module.greenlet, module.getcurrent
    variable = ContextVar("gworkers_trial", default="outside")
    seen = []

    def inside() -> None:
        variable.set("inside")
        main.switch()
        seen.append(variable.get())

    main = getcurrent()
    one, other = greenlet(inside), greenlet(lambda: seen.append(variable.get()))
    one.switch()
    other.switch()
    seen.append(variable.get())
    one.switch()
    return seen == ["outside", "outside", "inside"]


def check(runtime: Runtime) -> list[Finding]:
    """Return a finding for each requirement that *runtime* does not meet."""
    found = [*_greenlet(runtime), *_library(runtime)]
    if not any(finding.fatal for finding in found) and not runtime.isolates_contexts:
        found.append(Finding(
            "contexts-shared", f"greenlet {runtime.greenlet} does not isolate the context variables of greenlets",
            CONTEXT_IMPACT, "pip install --upgrade --force-reinstall greenlet", fatal=True))
    return found


def _greenlet(runtime: Runtime) -> list[Finding]:
    if runtime.greenlet_error is not None:
        return [Finding(
            "greenlet-broken", f"greenlet is installed but cannot be imported ({runtime.greenlet_error})",
            "the worker requires it", "pip install --upgrade --force-reinstall greenlet", fatal=True)]
    if runtime.pypy is not None:
        if runtime.pypy >= MINIMUM_PYPY:
            return []
        return [Finding(
            "pypy-old", f"PyPy {format_version(runtime.pypy)} does not isolate the context variables of greenlets",
            CONTEXT_IMPACT,
            f"Use PyPy {format_version(MINIMUM_PYPY)} or newer", fatal=True)]
    if runtime.greenlet is None:
        return [Finding("greenlet-missing", "greenlet is not installed", "the worker requires it",
                        f"pip install 'gworkers[{runtime.library}]'", fatal=True)]
    if parse_version(runtime.greenlet) < MINIMUM_GREENLET:
        return [Finding(
            "greenlet-old", f"greenlet {runtime.greenlet} does not isolate the context variables of greenlets",
            CONTEXT_IMPACT,
            f"pip install --upgrade 'greenlet>={format_version(MINIMUM_GREENLET)}'", fatal=True)]
    return []


def _library(runtime: Runtime) -> list[Finding]:
    library, release = runtime.library, runtime.release
    if release is None:
        return [Finding("library-missing", f"{library} is not installed", "the worker requires it",
                        f"pip install 'gworkers[{library}]'", fatal=True)]
    minimum = MINIMUM_RELEASES.get(library)
    if minimum is not None and parse_version(release) < minimum.release:
        return [Finding("library-old", f"{library} {release} is older than {format_version(minimum.release)}",
                        minimum.reason, f"pip install --upgrade 'gworkers[{library}]'", fatal=True)]
    if runtime.pypy is None and runtime.greenlet is not None:
        greenlet = parse_version(runtime.greenlet)
        for clash in INCOMPATIBILITIES:
            (old, new), (oldest, newest) = clash.releases, clash.greenlets
            if library == clash.library and old <= parse_version(release) < new and oldest <= greenlet < newest:
                return [Finding(
                    "library-incompatible", f"{library} {release} and greenlet {runtime.greenlet} are incompatible",
                    clash.impact, f"pip install --upgrade {clash.fix}", fatal=clash.fatal)]
    return []
