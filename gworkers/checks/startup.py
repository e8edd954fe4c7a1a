"""Modules that Python imports at its own start, through ``sitecustomize``, ``usercustomize`` or a ``.pth`` file.

Agents for traces and metrics are loaded in this way. Such modules are imported before Gunicorn, so no line of its
configuration can patch the standard library first.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

#: The module that runs these files. Python lists a module in ``sys.modules`` when its import is complete.
LAST_AT_STARTUP = "site"
#: Modules whose originals cause no problem, because no greenlet waits while it holds one of their locks.
HARMLESS = frozenset((
    # A registry of hooks, and a lock for the creation of locks.
    "wrapt.importer", "wrapt.synchronization",
    # Assignments that are made once.
    "opentelemetry.instrumentation._semconv", "opentelemetry.util._once",
))


@dataclass(frozen=True)
class Agent:
    """A program that imports its modules at the start of Python."""

    name: str
    #: a module that it imports at the start
    module: str
    #: the fix for each hub, by the name of the hub
    fix: Mapping[str, str]


_OPENTELEMETRY = (
    "start Gunicorn without opentelemetry-instrument and set "
    "GWORKERS_POST_PATCH=opentelemetry.instrumentation.auto_instrumentation:initialize in the environment")

#: ddtrace and New Relic are not among them, because they work without a fix.
AGENTS = (
    Agent("OpenTelemetry", "opentelemetry.instrumentation.auto_instrumentation", {
        "gevent": "Set OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH=patch_all in the environment, or "
                  + _OPENTELEMETRY,
        "eventlet": _OPENTELEMETRY[0].upper() + _OPENTELEMETRY[1:]}),
)


def modules() -> frozenset[str]:
    """Return the modules that were imported at the start of Python."""
    # Python lists the script first, and executes it last.
    names = [name for name in sys.modules if name != "__main__"]
    return frozenset(names[:names.index(LAST_AT_STARTUP)] if LAST_AT_STARTUP in names else ())


def agent(imported: frozenset[str]) -> Agent | None:
    """Return the agent whose module is in *imported*, the result of :func:`modules`. None if there is none."""
    return next((agent for agent in AGENTS if agent.module in imported), None)
