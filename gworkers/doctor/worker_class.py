"""The worker class that a configuration names."""
from __future__ import annotations

from types import ModuleType
from typing import Any

from gunicorn import util
from gunicorn.workers import SUPPORTED_WORKERS

from gworkers.checks.worker_class import non_class_finding
from gworkers.doctor.gunicorn_application import UsageError
from gworkers.doctor.report import plain
from gworkers.error_text import describe
from gworkers.errors import GworkersError
from gworkers.worker.green import GreenWorker


def load_worker_class(cfg: Any) -> type[GreenWorker]:
    """Return the worker class of *cfg* without calling its ``setup()``, which would raise the first problem.

    :raises UsageError: if it cannot be loaded or is not a gworkers worker class
    """
    name = cfg.settings["worker_class"].get()
    fix = f"use gworkers.{'EventletWorker' if name == 'eventlet' else 'GeventWorker'} (-k, or worker_class)"
    # Newer releases of Gunicorn have no eventlet worker and print a traceback for the name.
    if name in SUPPORTED_WORKERS or name == "eventlet":
        raise UsageError(f"the worker class {name!r} is Gunicorn's own: {fix}")
    try:
        worker_class = util.load_class(name)
    except GworkersError as error:
        raise UsageError(str(error)) from None
    except Exception as error:
        # The message of Gunicorn's RuntimeError is a whole traceback.
        cause = error.__context__ if isinstance(error, RuntimeError) and error.__context__ else error
        raise UsageError(f"the worker class {name!r} cannot be loaded: {describe(cause)}. "
                         f"For a green worker, {fix}") from None
    if isinstance(worker_class, ModuleType):
        raise UsageError(str(non_class_finding(name)))
    if isinstance(worker_class, type) and issubclass(worker_class, GreenWorker) and hasattr(worker_class, "hub_name"):
        return worker_class
    raise UsageError(f"{plain(name)} is not a gworkers worker class: {fix}")
