"""A check for async views, which need the setting ``asyncio_thread``."""
from __future__ import annotations

import sys
from inspect import iscoroutinefunction
from typing import Any

from gworkers.coroutines.probe import finding
from gworkers.findings import Finding

#: The most views to name.
NAMED = 3


def check(application: Any, asyncio_thread: bool) -> list[Finding]:
    """Return a finding if *application* is a Flask application with async views.

    Frameworks that import their views with the first request are reported by :mod:`gworkers.coroutines.probe`.

    :param asyncio_thread: whether the setting is on
    """
    flask = sys.modules.get("flask")
    if asyncio_thread or flask is None or not isinstance(application, flask.Flask):
        return []
    views = [f"{view.__module__}.{view.__qualname__}" for view in application.view_functions.values()
             if iscoroutinefunction(view)]
    if not views:
        return []
    more = f" and {len(views) - NAMED} more" if len(views) > NAMED else ""
    return [finding(f"Flask has async views ({', '.join(views[:NAMED])}{more})", asyncio_thread)]
