"""Checks of the application: it can be loaded, and it is a WSGI application (PEP 3333)."""
from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from gworkers.call_error import call_error
from gworkers.error_text import AppImportError, actual_error, describe, location
from gworkers.findings import Finding

NAME_FIX = "Name it as module:variable or 'module:function()', and use --chdir for the directory of the module"
ASGI_FIX = ("It appears to be an ASGI application, but gworkers serves WSGI: use an ASGI worker, "
            "or wrap it: a2wsgi.ASGIMiddleware({0})")
#: Modules that exist only in a process of uWSGI.
UWSGI_MODULES = ("uwsgi", "uwsgidecorators")
UWSGI_FIX = ("Only a process of uWSGI has the module {}. Remove the import: docs/migrate/uwsgi.md lists what replaces "
             "its functions")
#: Parts of the error messages about a variable that Gunicorn found, and the fix for each. {0} is the name of the
#: variable, {1} the name with its brackets, {2} the module.
FIXES = {
    "Failed to find application object": "{1} is None: is a return missing in the function that creates it?",
    "'start_response'": "It is the application itself and must not be called: name it {2}:{0}",
    "'receive', and 'send'": ASGI_FIX,
    "() missing ": "Pass the arguments that it requires, as literals: '{2}:{0}(...)'",
}


def load_failure(error: BaseException, app: Any, default_fix: str) -> Finding:
    """Return the finding for *error*, which was raised while *app*, Gunicorn's application object, was loaded.

    :param default_fix: the fix to suggest if *error* does not imply one
    """
    uri = getattr(app, "app_uri", None)
    name = "the application" if uri is None else uri
    error = actual_error(error)
    return Finding("application", f"{name} cannot be loaded: {describe(error)}", "a worker cannot serve without it",
                   _fix(error, None if app.cfg.paste else uri) or default_fix, fatal=True)


def is_raised_by_application(error: BaseException) -> bool:
    """Return whether *error* was raised by code of the application, so that its traceback is useful."""
    # A SystemExit carries its reason.
    return not isinstance(error, (AppImportError, SystemExit)) and (
        isinstance(error, SyntaxError) or location(error) != "")


def _fix(error: BaseException, uri: str | None) -> str | None:
    if uri is None:
        return None
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if not is_raised_by_application(error) and not isinstance(error, SystemExit):
        module, _, variable = uri.partition(":")
        for part, fix in FIXES.items():
            if part in str(error):
                return fix.format(variable.partition("(")[0], variable or "application", module)
        if module.endswith(".py") or "/" in module or module.startswith("."):
            return _module_name_fix(module, variable or "application")
        if isinstance(error, AppImportError) or f"{module}.".startswith(f"{missing}."):
            return NAME_FIX
    if missing in getattr(sys, "stdlib_module_names", ()):
        return f"It is part of Python's standard library: let the workers' user read {sys.base_prefix}"
    if missing in UWSGI_MODULES:
        return UWSGI_FIX.format(missing)
    if missing:
        return (f"Install the package that provides {missing}: {sys.executable} -m pip install ...; "
                "or, if the module is yours, add its directory to the import path: --chdir or --pythonpath")
    return None


def _module_name_fix(file: str, variable: str) -> str:
    """Return the fix for a module that was named by its *file*."""
    directory, name = os.path.split(file.removesuffix(".py"))
    where = "" if directory in ("", ".") else f" and add --chdir {directory}"
    return f"Name a module as in an import statement, not as a file: {name.lstrip('.')}:{variable}{where}"


def check(application: Callable[..., Any], app: Any) -> list[Finding]:
    """Return a finding if *application* certainly cannot be called with the two arguments of PEP 3333.

    :param app: Gunicorn's application object, for the name
    """
    function, bound = _called_function(application)
    if function is None:
        return []
    mismatch = call_error(function, bound + 2)
    is_async = function.__code__.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    if mismatch is None and not is_async:
        return []
    uri = getattr(app, "app_uri", None) or "the application"
    _, _, variable = uri.partition(":")
    takes_three = call_error(function, bound + 3) is None
    if takes_three and not isinstance(application, type):
        fix = ASGI_FIX.format(variable or "application")
    elif is_async:
        fix = "Define it with def instead of async def: greenlets wait without await"
    elif isinstance(application, (FunctionType, type)) and "(" not in uri and not app.cfg.paste:
        brackets = "()" if call_error(function, bound) is None else "(...)"
        fix = f"If it creates the application, call it: '{uri if variable else f'{uri}:application'}{brackets}'"
    else:
        fix = "Name the WSGI application, which takes both arguments"
    why = f"cannot be called with environ and start_response: {mismatch}" if mismatch else "is async, but WSGI is not"
    return [Finding("not-wsgi", f"{uri} {why}", "every request would fail", fix, fatal=True)]


def _called_function(application: Any) -> tuple[FunctionType | None, int]:
    """Return the function that a call of *application* runs, and the number of arguments that Python adds (self).

    The function is None if it cannot be determined, as for callables written in C.
    """
    function: Any
    if isinstance(application, FunctionType):
        function, bound = application, 0
    elif not isinstance(application, type):
        function, bound = inspect.getattr_static(type(application), "__call__", None), 1
    elif type(application).__call__ is not type.__call__:
        return None, 0
    else:
        new: Any = application.__new__
        function, bound = new if new is not object.__new__ else inspect.getattr_static(application, "__init__"), 1
        if function is object.__init__:
            function = _object_init
    # PyPy's built-in functions are FunctionType objects too, but have another type of code.
    certain = isinstance(function, FunctionType) and isinstance(function.__code__, CodeType)
    return (function if certain else None), bound


def _object_init(self: object) -> None:
    """Stand in for ``object.__init__``, which is written in C, with the same signature."""
