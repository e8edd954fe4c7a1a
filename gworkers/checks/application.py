"""Why an application cannot be served."""
from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from gunicorn.errors import AppImportError

from gworkers.error_text import actual_error, describe, location
from gworkers.findings import Finding

NAME = "Name it as module:variable or 'module:function()', and with --chdir the directory that the module is in"
ASGI = ("It seems to be an ASGI application, and gworkers serves WSGI: use an ASGI worker, "
        "or wrap it: a2wsgi.ASGIMiddleware({0})")
#: What there is to read of a variable that Gunicorn has found, and what to do then: {0} is its name, {1} that with its
#: brackets, {2} the module.
ADVICE = {
    "Failed to find application object": "{1} is None: is a return missing in the function that makes it?",
    "'start_response'": "It is the application already, which need not be called: name it {2}:{0}",
    "'receive', and 'send'": ASGI,
    "() missing ": "Give it what it asks for, as literals: '{2}:{0}(...)'",
}


def unloadable(error: BaseException, app: Any, fix: str) -> Finding:
    """Return what to say of *error*, which loading *app*, Gunicorn's application object, has ended with.

    :param fix: what to do if *error* does not tell
    """
    uri = getattr(app, "app_uri", None)
    name = "the application" if uri is None else uri
    error = actual_error(error)
    return Finding("application", f"{name} cannot be loaded: {describe(error)}", "a worker cannot serve without it",
                   _fix(error, None if app.cfg.paste else uri) or fix, fatal=True)


def is_within(error: BaseException) -> bool:
    """Whether *error* was raised by what is in the application, so that there is more to see of it."""
    # Who ends the process has said why.
    return not isinstance(error, (AppImportError, SystemExit)) and (
        isinstance(error, SyntaxError) or location(error) != "")


def _fix(error: BaseException, uri: str | None) -> str | None:
    if uri is None:
        return None
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if not is_within(error) and not isinstance(error, SystemExit):
        module, _, variable = uri.partition(":")
        for said, advice in ADVICE.items():
            if said in str(error):
                return advice.format(variable.partition("(")[0], variable or "application", module)
        if module.endswith(".py") or "/" in module or module.startswith("."):
            return _named(module, variable or "application")
        if isinstance(error, AppImportError) or f"{module}.".startswith(f"{missing}."):
            return NAME
    if missing in getattr(sys, "stdlib_module_names", ()):
        return f"That is Python's own: see that the user of the workers may read {sys.base_prefix}"
    if missing:
        return (f"Install the package that has {missing}: {sys.executable} -m pip install ...; "
                "or, if it is your own, put its directory on the path: --chdir or --pythonpath")
    return None


def _named(file: str, variable: str) -> str:
    """Return how to name what somebody has named by its file."""
    directory, name = os.path.split(file.removesuffix(".py"))
    where = "" if directory in ("", ".") else f" and its directory --chdir {directory}"
    return f"A module is named as in an import, not as a file: name it {name.lstrip('.')}:{variable}{where}"


def check(application: Callable[..., Any], app: Any) -> list[Finding]:
    """Return whether *application* takes what PEP 3333 says it is called with, as far as that is certain.

    :param app: Gunicorn's application object, for the name
    """
    function, own = _called(application)
    if function is None:
        return []
    unfit = _refusal(function, own + 2)
    is_async = function.__code__.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR)
    if unfit is None and not is_async:
        return []
    uri = getattr(app, "app_uri", None) or "the application"
    _, _, variable = uri.partition(":")
    takes_three = _refusal(function, own + 3) is None
    if takes_three and not isinstance(application, type):
        fix = ASGI.format(variable or "application")
    elif is_async:
        fix = "Write it with def instead of async def: greenlets wait without await"
    elif isinstance(application, (FunctionType, type)) and "(" not in uri and not app.cfg.paste:
        brackets = "()" if _refusal(function, own) is None else "(...)"
        fix = f"If it makes the application, call it: '{uri if variable else f'{uri}:application'}{brackets}'"
    else:
        fix = "Name the WSGI application, which takes both"
    why = f"cannot be called with environ and start_response: {unfit}" if unfit else "is async, which WSGI is not"
    return [Finding("not-wsgi", f"{uri} {why}", "every request would fail", fix, fatal=True)]


def _called(application: Any) -> tuple[FunctionType | None, int]:
    """Return the function that a call begins with, and how many arguments it is given besides the caller's.

    None where that is not certain, as with what is written in C.
    """
    function: Any
    if isinstance(application, FunctionType):
        function, own = application, 0
    elif not isinstance(application, type):
        function, own = inspect.getattr_static(type(application), "__call__", None), 1
    elif type(application).__call__ is not type.__call__:
        return None, 0
    else:
        made: Any = application.__new__
        function, own = made if made is not object.__new__ else inspect.getattr_static(application, "__init__"), 1
        if function is object.__init__:
            function = _nothing
    # PyPy's built-in functions are functions too, but for their code.
    certain = isinstance(function, FunctionType) and isinstance(function.__code__, CodeType)
    return (function if certain else None), own


def _nothing(self: object) -> None:
    """Take what object() takes."""


def _refusal(function: FunctionType, arguments: int) -> str | None:
    """Return why a function cannot be called with so many positional arguments; None if it can."""
    # Only its code: __signature__ and __wrapped__ may tell of another one, and annotations need not exist.
    bare = FunctionType(function.__code__, {}, argdefs=function.__defaults__, closure=function.__closure__)
    bare.__kwdefaults__ = function.__kwdefaults__
    try:
        inspect.signature(bare).bind(*[None] * arguments)
    except TypeError as error:
        return str(error)
    return None
