"""The call of the function in the setting ``post_patch``."""
from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def call(function: Callable[..., Any], worker: object) -> Any:
    """Call *function* and return its result. Pass *worker* if the function has a parameter for it.

    Such a parameter is one called ``worker``, a positional one without a default, or ``*args``. Other parameters of a
    library's function, such as a path or a flag, keep their defaults.
    """
    try:
        parameters = signature(function).parameters
    except Exception:
        # A function written in C may have no signature, and annotations may fail to evaluate.
        return _call_without_signature(function, worker)
    named = parameters.get("worker")
    if named is not None and named.kind in BY_NAME:
        return function(worker=worker)
    if any(parameter.kind is Parameter.VAR_POSITIONAL
           or (parameter.kind in BY_POSITION and parameter.default is Parameter.empty)
           for parameter in parameters.values()):
        return function(worker)
    return function()


def _call_without_signature(function: Callable[..., Any], worker: object) -> Any:
    """Call *function* without arguments, or with *worker* if it requires an argument."""
    try:
        return function()
    except TypeError as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            # The function was entered, so the arguments were right.
            raise
        return function(worker)
