"""Errors that stop the boot of a worker, as findings and as a page for developers."""
from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from gunicorn.workers.base import Worker

from gworkers.checks import application, configuration
from gworkers.error_text import actual_error, describe, trim_traceback
from gworkers.errors import StartError
from gworkers.findings import Finding
from gworkers.gunicorn_compat import optional

if TYPE_CHECKING:
    from gworkers.worker.boot import BootableWorker

#: Gunicorn's function that creates an application which shows a text.
make_fail_app = optional("gunicorn.util:make_fail_app", None)
FIX_ERROR = "Correct this error, then start or reload Gunicorn"


def start_error(worker: BootableWorker, error: BaseException) -> StartError:
    """Return the StartError for *error*, which was raised while *worker* booted."""
    conflict = configuration.other_patch_finding(worker.hub_name)
    if conflict is not None:
        # Most likely the error is a consequence of the conflict.
        return StartError(conflict)
    failure = StartError(_finding(worker, error))
    if application.is_raised_by_application(actual_error(error)):
        failure.__cause__ = trim_traceback(actual_error(error))
    return failure


def _finding(worker: BootableWorker, error: BaseException) -> Finding:
    codes = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    if Worker.load_wsgi.__code__ in codes:
        return application.load_failure(error, worker.app, FIX_ERROR)
    in_hook = getattr(worker.cfg.post_worker_init, "__code__", None) in codes
    problem = "post_worker_init has raised" if in_hook else "a worker cannot be set up:"
    return Finding("worker-setup-failed", f"{problem} {describe(error)}",
                   "workers exit before they serve any request", FIX_ERROR, fatal=True)


def serve_error_page(worker: BootableWorker, error: Exception) -> None:
    """Log *error* and serve it as a page until a file changes.

    Used with the setting ``reload``, where Gunicorn does so for a SyntaxError only.
    """
    files = {frame.filename for frame in traceback.extract_tb(error.__traceback__)}
    failure = error if isinstance(error, StartError) else start_error(worker, error)
    cause = failure.__cause__
    worker.log.error("%s", failure, exc_info=cause)
    for file in files:
        if worker.reloader is not None and os.path.isfile(file):
            worker.reloader.add_extra_file(file)
    worker.wsgi = make_fail_app(
        "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)) if cause else f"{failure}\n")
