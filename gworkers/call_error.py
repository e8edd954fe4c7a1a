"""Whether a function can be called with a number of arguments."""
from __future__ import annotations

import inspect
from types import FunctionType


def call_error(function: FunctionType, arguments: int) -> str | None:
    """Return why *function* cannot be called with this number of positional *arguments*; None if it can."""
    # Use the code only: __signature__ and __wrapped__ may describe another function, and annotations may not resolve.
    bare = FunctionType(function.__code__, {}, argdefs=function.__defaults__, closure=function.__closure__)
    bare.__kwdefaults__ = function.__kwdefaults__
    try:
        inspect.signature(bare).bind(*[None] * arguments)
    except TypeError as error:
        return str(error)
    return None
