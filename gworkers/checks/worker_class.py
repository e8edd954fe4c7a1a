"""Names given as the worker class that name something else."""
from __future__ import annotations

from difflib import get_close_matches

from gworkers.findings import Finding, invalid_setting

#: gworkers' own, by what they are called in small letters.
CLASSES = {name.lower(): f"gworkers.{name}" for name in ("EventletWorker", "GeventWorker")}


def unknown_class_finding(name: str) -> Finding:
    """Return that gworkers has nothing called *name*."""
    close = get_close_matches(name.lower(), CLASSES, n=1)
    advice = (f"Did you mean {CLASSES[close[0]]}?" if close else
              "Its worker classes are EventletWorker and GeventWorker")
    return invalid_setting(f"gworkers has no {name}", "there is no worker of that name", advice)


def non_class_finding(name: str) -> Finding:
    """Return that *name*, the setting ``worker_class``, is not the name of a class, but of a module for instance."""
    return invalid_setting(f"worker_class is {name!r}, which is not a class", "Gunicorn cannot start workers of it",
                   "Did you mean gworkers.GeventWorker or gworkers.EventletWorker?")
