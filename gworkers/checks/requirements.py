"""What the runtime must be: interpreter, greenlet, the hub's library, and the two together.

Everything is judged by what is really loaded. greenlet is looked at before a library that is built on it is
imported, because the wrong one can crash the process.
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

#: The first greenlet with a context of its own in each greenlet, on all that its releases were built for.
GREENLET: Version = (1, 0)
#: The same for the greenlet that is part of PyPy, which calls itself 0.4.13 whatever it can do.
PYPY: Version = (7, 3, 7)


@dataclass(frozen=True)
class Minimum:
    """The oldest release of a library that will do, and the reason why no older one does."""

    release: Version
    reason: str


MINIMUM_RELEASES = {
    # https://github.com/gevent/gevent/blob/master/CHANGES.rst
    "gevent": Minimum((24, 10, 3), "with older ones, on Python 3.13, the other greenlets of a patched master go on in "
                                   "the workers that are forked from it"),
    # https://github.com/eventlet/eventlet/pull/1047, https://github.com/eventlet/eventlet/pull/1062
    "eventlet": Minimum((0, 40, 3), "before 0.40.1 a forked worker loses track of its threads, and before 0.40.3 "
                                    "eventlet's own server lets a request be smuggled in trailers"),
}


@dataclass(frozen=True)
class Incompatibility:
    """Releases of a library and of greenlet, each from one up to but not including another, that do not go together."""

    library: str
    releases: tuple[Version, Version]
    greenlets: tuple[Version, Version]
    trouble: str
    #: what to install
    fix: str
    #: whether a worker cannot serve like that
    fatal: bool = False


#: What no release is behind.
END: Version = (sys.maxsize,)
LOCKS = "locks raise RuntimeError while a process ends"
INCOMPATIBILITIES = (
    # Built for greenlet 2, whose objects are laid out differently.
    Incompatibility("gevent", ((), END), ((1,), (2,)), "workers crash as soon as they start",
                    "'greenlet>=3.1.1'", fatal=True),
    # https://github.com/python-greenlet/greenlet/issues/524
    Incompatibility("gevent", ((), END), ((3, 4), (3, 5)), "a process may crash when it ends",
                    "'greenlet>=3.5.1' 'gevent>=26.5'"),
    Incompatibility("gevent", ((), (26, 5)), ((3, 5, 1), END), LOCKS, "'gevent>=26.5'"),
    # https://github.com/eventlet/eventlet/pull/1101
    Incompatibility("eventlet", ((), (0, 41, 2)), ((3, 5, 1), END), LOCKS, "'eventlet>=0.41.2'"),
)


@dataclass(frozen=True)
class Runtime:
    """What a worker would run on."""

    #: PyPy's own version; None on CPython
    pypy: Version | None
    #: greenlet's version; None if there is none
    greenlet: str | None
    #: whether a context variable set in a greenlet stayed there
    keeps_contexts: bool
    #: name and version of the hub's library; no version if it is not installed
    library: str
    release: str | None
    #: what greenlet said when it could not be imported, though it is installed
    broken: str | None = None


def inspect_runtime(library: str) -> Runtime:
    """Find out what a worker on *library* would run on. Imports greenlet, but not *library*."""
    pypy = getattr(sys, "pypy_version_info", None)
    broken = None
    try:
        greenlet: Any = import_module("greenlet")
        # Without it: what is left of a package that has been removed.
        greenlet.greenlet  # noqa: B018
    except Exception as error:
        greenlet = None
        broken = describe(error) if installed_version("greenlet") is not None else None
    return Runtime(
        pypy=tuple(pypy[:3]) if pypy is not None else None,
        greenlet=getattr(greenlet, "__version__", None),
        keeps_contexts=greenlet is not None and isolates_contexts(greenlet),
        library=library,
        release=installed_version(library),
        broken=broken,
    )


def isolates_contexts(module: Any) -> bool:
    """Try out whether a context variable that one greenlet of *module* sets is seen by another."""
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
    """Return what is wrong with *runtime*."""
    found = [*_greenlet(runtime), *_library(runtime)]
    if not any(finding.fatal for finding in found) and not runtime.keeps_contexts:
        found.append(Finding(
            "contexts-shared", f"greenlet {runtime.greenlet} does not keep the context variables of greenlets apart",
            "request, session and the like would be another request's",
            "Install a greenlet that does: pip install --upgrade --force-reinstall greenlet", fatal=True))
    return found


def _greenlet(runtime: Runtime) -> list[Finding]:
    if runtime.broken is not None:
        return [Finding(
            "greenlet-broken", f"greenlet is installed but cannot be imported ({runtime.broken})",
            "green workers run on it", "pip install --upgrade --force-reinstall greenlet", fatal=True)]
    if runtime.pypy is not None:
        if runtime.pypy >= PYPY:
            return []
        return [Finding(
            "pypy-old", f"PyPy {format_version(runtime.pypy)} does not keep the context variables of greenlets apart",
            "request, session and the like would be another request's",
            f"Use PyPy {format_version(PYPY)} or newer", fatal=True)]
    if runtime.greenlet is None:
        return [Finding("greenlet-missing", "greenlet is not installed", "green workers run on it",
                        f"pip install 'gworkers[{runtime.library}]'", fatal=True)]
    if parse_version(runtime.greenlet) < GREENLET:
        return [Finding(
            "greenlet-old", f"greenlet {runtime.greenlet} does not keep the context variables of greenlets apart",
            "request, session and the like would be another request's",
            f"pip install --upgrade 'greenlet>={format_version(GREENLET)}'", fatal=True)]
    return []


def _library(runtime: Runtime) -> list[Finding]:
    library, release = runtime.library, runtime.release
    if release is None:
        return [Finding("library-missing", f"{library} is not installed", "the worker runs on it",
                        f"pip install 'gworkers[{library}]'", fatal=True)]
    floor = MINIMUM_RELEASES[library]
    if parse_version(release) < floor.release:
        return [Finding("library-old", f"{library} {release} is older than {format_version(floor.release)}",
                        floor.reason, f"pip install --upgrade 'gworkers[{library}]'", fatal=True)]
    if runtime.pypy is None and runtime.greenlet is not None:
        greenlet = parse_version(runtime.greenlet)
        for clash in INCOMPATIBILITIES:
            (old, new), (oldest, newest) = clash.releases, clash.greenlets
            if library == clash.library and old <= parse_version(release) < new and oldest <= greenlet < newest:
                return [Finding(
                    "library-incompatible", f"{library} {release} and greenlet {runtime.greenlet} do not go together",
                    clash.trouble, f"pip install --upgrade {clash.fix}", fatal=clash.fatal)]
    return []
