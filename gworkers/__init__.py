"""Gunicorn worker classes for applications that run on greenlets.

``gunicorn -k gworkers.GeventWorker 'hello:create_app()'`` serves on gevent,
``gworkers.EventletWorker`` on eventlet. Importing this package imports neither library:
Gunicorn's master looks the class up before it forks, and a hub library must be imported in the worker.
"""
from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.coroutines.runner import run_async
    from gworkers.errors import ClientGone, RequestTimeout
    from gworkers.script import serve
    from gworkers.worker.green import EventletWorker, GeventWorker

__all__ = ["ClientGone", "EventletWorker", "GeventWorker", "RequestTimeout", "__version__", "run_async", "serve"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("GeventWorker", "EventletWorker"):
        from gworkers.gunicorn_compat import UnusableWorker, works
        from gworkers.gunicorn_internals import Feature

        if not works(Feature.SERVING):
            return UnusableWorker
        from gworkers.worker import green

        return getattr(green, name)
    if name in ("ClientGone", "RequestTimeout"):
        from gworkers import errors

        return getattr(errors, name)
    if name == "serve":
        from gworkers.errors import RequirementError
        from gworkers.gunicorn_compat import incompatible
        from gworkers.gunicorn_internals import Feature

        finding = incompatible(Feature.SCRIPT)
        if finding is not None:
            raise RequirementError(finding)
        from gworkers import script

        return script.serve
    if name == "run_async":
        from gworkers.coroutines.runner import run_async

        return run_async
    # These look-ups are normal: the import system tries submodules, and tools try names with an underscore.
    expected = name.startswith("_") or find_spec(f"{__name__}.{name}") is not None
    by_gunicorn = sys._getframe(1).f_globals.get("__name__") == "gunicorn.util"
    if by_gunicorn or not expected:
        from gworkers.checks import worker_class
        from gworkers.errors import SettingsError

        # Gunicorn would report an AttributeError with a traceback that hides the cause.
        raise SettingsError(worker_class.non_class_finding(f"{__name__}.{name}") if expected
                            else worker_class.unknown_class_finding(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
