"""Findings for values of ``worker_class`` that do not name a worker class."""
from __future__ import annotations

from difflib import get_close_matches

from gworkers.findings import Finding, invalid_setting

#: The worker classes by their names in lower case.
CLASSES = {name.lower(): f"gworkers.{name}" for name in ("EventletWorker", "GeventWorker")}


def unknown_class_finding(name: str) -> Finding:
    """Return the finding that gworkers has no worker class *name*."""
    close = get_close_matches(name.lower(), CLASSES, n=1)
    fix = f"Did you mean {CLASSES[close[0]]}?" if close else "Use gworkers.GeventWorker or gworkers.EventletWorker"
    return invalid_setting(f"gworkers has no worker class {name}", "Gunicorn cannot start workers", fix)


def non_class_finding(name: str) -> Finding:
    """Return the finding that *name*, the value of ``worker_class``, names a module or another object."""
    return invalid_setting(f"worker_class is {name!r}, which is not a class", "Gunicorn cannot start workers",
                   "Did you mean gworkers.GeventWorker or gworkers.EventletWorker?")
