"""Errors that stop the boot of a worker, as findings and as a page for developers."""
from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

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
    if type(worker).load_wsgi.__code__ in codes:
        return application.load_failure(error, worker.app, FIX_ERROR)
    in_hook = getattr(worker.cfg.post_worker_init, "__code__", None) in codes
    problem = "post_worker_init has raised" if in_hook else "a worker cannot be set up:"
    return Finding("worker-setup-failed", f"{problem} {describe(error)}",
                   "workers exit before they serve any request", FIX_ERROR, fatal=True)


def blamed_files(error: BaseException) -> list[str]:
    """Return the files in which *error* may be corrected, the likeliest first."""
    error = actual_error(error)
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        files.append(error.filename)
    if isinstance(error, ImportError):
        # A missing module may be created beside the one that imports it.
        files += [os.path.dirname(file) for file in files[-1:]]
    return [file for file in dict.fromkeys(reversed(files)) if os.path.exists(file)]


def serve_error_page(worker: BootableWorker, error: Exception) -> None:
    """Log *error* and serve it as a page until a file changes.

    Used with the setting ``reload``, where Gunicorn does so for a SyntaxError only.
    """
    failure = error if isinstance(error, StartError) else start_error(worker, error)
    cause = failure.__cause__
    worker.log.error("%s", failure, exc_info=cause)
    worker.serves_error_page = True
    worker.wsgi = make_fail_app(
        "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)) if cause else f"{failure}\n")
