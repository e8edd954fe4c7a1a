"""Gunicorn worker classes for applications that run on greenlets.

``gunicorn -k gworkers.GeventWorker 'hello:create_app()'`` serves on gevent,
``gworkers.EventletWorker`` on eventlet. Importing this package imports neither: Gunicorn's
master looks the class up before it forks, and a hub library must first be seen in a worker.
"""
from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.worker import EventletWorker, GeventWorker

__all__ = ["EventletWorker", "GeventWorker", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("GeventWorker", "EventletWorker"):
        from gworkers import worker

        return getattr(worker, name)
    # Importing a submodule asks for it first, and tools ask any module for names that begin with an underscore.
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is None:
        from gworkers.checks.findings import setting
        from gworkers.errors import SettingsError

        # Gunicorn mistakes an AttributeError here for one of its own, and goes on to a traceback.
        raise SettingsError(setting(f"gworkers has no {name}", "there is no worker of that name", _advice(name)))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _advice(name: str) -> str:
    classes = {known.lower(): known for known in __all__[:2]}
    close = get_close_matches(name.lower(), classes, n=1)
    if close:
        return f"Did you mean gworkers.{classes[close[0]]}?"
    return f"Its worker classes are {' and '.join(classes.values())}"


def __dir__() -> list[str]:
    return __all__
