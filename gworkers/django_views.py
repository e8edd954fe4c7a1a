"""The views of a Django project, which Django itself would import at the first request."""
from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def urlconf() -> str | None:
    """Return the name of the module with the URLs of the project; None if the application is no Django project."""
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    # Applications of other frameworks may use Django's ORM. They have no handler and no URLs.
    if "django.core.handlers.wsgi" not in sys.modules or not getattr(settings, "configured", False):
        return None
    return getattr(settings, "ROOT_URLCONF", None)


def load_views() -> list[Any]:
    """Import the views of the project that the application serves. Return them; an empty list without Django.

    A mistake in a view or in the URLs then raises its exception while the application is loaded, and not in each
    request. And the first requests do not wait for the imports.
    """
    views: list[Any] = []
    resolvers = [import_module("django.urls").get_resolver()] if urlconf() else []
    # The list grows while it is read. A URLconf may include itself.
    for resolver in resolvers:
        for entry in resolver.url_patterns:
            if entry.callback is not None:
                views.append(entry.callback)
            elif all(entry is not known for known in resolvers):
                resolvers.append(entry)
    return views
