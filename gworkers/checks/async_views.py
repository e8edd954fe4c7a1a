"""A check for async views, which need the setting ``asyncio_thread``."""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any

from gworkers.coroutines.probe import finding
from gworkers.findings import Finding

#: The most views to name.
NAMED = 3


def check(application: Any, django_views: Iterable[Any], asyncio_thread: bool) -> list[Finding]:
    """Return a finding if there are async views.

    Views of other frameworks than Flask and Django are reported by :mod:`gworkers.coroutines.probe`.

    :param application: the application, which may be one of Flask
    :param django_views: the views of Django
    :param asyncio_thread: whether the setting is on
    """
    if asyncio_thread:
        return []
    flask = sys.modules.get("flask")
    flask_views = application.view_functions.values() if flask and isinstance(application, flask.Flask) else ()
    # It detects classes with asynchronous methods, too, which Django marks.
    is_async: Callable[[Any], bool] = getattr(
        sys.modules.get("asgiref.sync"), "iscoroutinefunction", iscoroutinefunction)
    found = [(framework, list(dict.fromkeys(_name(view) for view in views if is_async(view))))
             for framework, views in (("Flask", flask_views), ("Django", django_views))]
    return [finding(f"{framework} has async views ({_listed(names)})", asyncio_thread)
            for framework, names in found if names]


def _name(view: Any) -> str:
    # Django makes a function of a class. A partial function has no name.
    view = getattr(view, "view_class", getattr(view, "func", view))
    return f"{getattr(view, '__module__', '?')}.{getattr(view, '__qualname__', repr(view))}"


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
