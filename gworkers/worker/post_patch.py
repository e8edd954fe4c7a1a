"""How the function is called that the setting ``post_patch`` names."""
from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def call(function: Callable[..., Any], worker: object) -> Any:
    """Call *function*, with *worker* if it has a parameter for it, and return what it returns.

    That is one called ``worker``, a positional one without a default, or ``*args``. What else a function of a library
    takes is its own: a path or a flag, which has a default.
    """
    try:
        parameters = signature(function).parameters
    except Exception:
        # Not all that is written in C has one, and annotations may name what cannot be imported.
        return _call_unknown(function, worker)
    named = parameters.get("worker")
    if named is not None and named.kind in BY_NAME:
        return function(worker=worker)
    if any(parameter.kind is Parameter.VAR_POSITIONAL
           or (parameter.kind in BY_POSITION and parameter.default is Parameter.empty)
           for parameter in parameters.values()):
        return function(worker)
    return function()


def _call_unknown(function: Callable[..., Any], worker: object) -> Any:
    """Call *function* without arguments, or with *worker* if it cannot be called without."""
    try:
        return function()
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            # The call was right, and the error is one of the function's own.
            raise
        return function(worker)
