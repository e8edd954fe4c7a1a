"""Why an application cannot be served."""
from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.errors import AppImportError

from gworkers.checks.causes import told
from gworkers.checks.findings import Finding


def unloadable(error: BaseException, app: Any, mend: str) -> Finding:
    """Return what to say of *error*, which loading *app*, Gunicorn's application object, has ended with.

    :param mend: what to do if *error* does not tell
    """
    uri = getattr(app, "app_uri", None)
    name = "the application" if uri is None else uri
    return Finding("application", f"{name} cannot be loaded: {told(error)}", "a worker cannot serve without it",
                   _mend(error, None if app.cfg.paste else uri) or mend, fatal=True)


def is_within(error: BaseException, app: Any) -> bool:
    """Whether *error* was raised by what is in the application, so that there is a traceback to see."""
    # Who ends the process has said why.
    return not isinstance(error, (AppImportError, SystemExit)) and not _is_nowhere(error, getattr(app, "app_uri", None))


def _is_nowhere(error: BaseException, uri: str | None) -> bool:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if uri is None or missing is None:
        return False
    return f"{uri.partition(':')[0]}.".startswith(f"{missing}.")


def _mend(error: BaseException, uri: str | None) -> str | None:
    if uri is None:
        return None
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if isinstance(error, AppImportError) or _is_nowhere(error, uri):
        return "Name it as module:variable or 'module:function()', and with --chdir the directory that the module is in"
    if missing in getattr(sys, "stdlib_module_names", ()):
        return f"That is Python's own: see that the user of the workers may read {sys.base_prefix}"
    if missing:
        return f"Install the package that has {missing}: {sys.executable} -m pip install ..."
    return None


def check(application: Callable[..., Any], app: Any) -> list[Finding]:
    """Return whether *application* takes what PEP 3333 says it is called with.

    :param app: Gunicorn's application object, for the name
    """
    try:
        inspect.signature(application, follow_wrapped=False).bind({}, None)
    except ValueError:
        # It does not tell what it takes.
        return []
    except TypeError as error:
        uri = getattr(app, "app_uri", None) or "the application"
        return [Finding(
            "not-wsgi", f"{uri} cannot be called with environ and start_response: {error}", "every request would fail",
            f"If it makes the application, call it: '{uri}()'" if ":" in uri else "Name what is to be called")]
    return []
