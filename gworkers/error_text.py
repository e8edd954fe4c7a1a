"""What an exception of somebody else has to say in a finding."""
from __future__ import annotations

import importlib
import os
import sys
import traceback

import gunicorn
from gunicorn.errors import AppImportError, ConfigError

import gworkers
from gworkers.errors import GworkersError

#: Frames of these say nothing about where a mistake is.
DUMB = ("<frozen ", *(os.path.dirname(module.__file__ or "") + os.sep for module in (gworkers, gunicorn, importlib)))


def actual_error(error: BaseException) -> BaseException:
    """Return the exception that somebody is to be told of.

    Gunicorn looks for the code of what has raised a TypeError when it was called, and fails where there is none.
    """
    first = error.__context__
    hidden = isinstance(error, AttributeError) and isinstance(first, TypeError) and not location(error)
    return first if hidden and first is not None else error


def describe(error: BaseException) -> str:
    """Return what an exception says, and where it was raised, on one line."""
    if isinstance(error, SyntaxError):
        text, where = f"{type(error).__name__}: {error.msg}", f"{error.filename}:{error.lineno}"
    else:
        text, where = str(error), location(error)
        if not isinstance(error, (GworkersError, ConfigError, AppImportError)):
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = text.rstrip(".")
    line = " ".join(f"{text} ({where})".split() if where else text.split())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def trim_traceback(error: BaseException) -> BaseException:
    """Leave out of an exception's traceback, and of those before it, how it came to the application, if it did."""
    chain: list[BaseException] = []
    following: list[BaseException | None] = [error]
    while following:
        one = following.pop()
        if one is None or one in chain:
            continue
        chain.append(one)
        following += [one.__cause__, one.__context__]
        trace = one.__traceback__
        while trace is not None and _is_dumb(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        one.__traceback__ = trace
    return error


def print_traceback(error: BaseException) -> None:
    """Print the traceback of *error* alone, without the exceptions before it, to stderr.

    It is written at once, so that those of several workers do not mix.
    """
    sys.stderr.write("".join(traceback.format_exception(type(error), error, error.__traceback__, chain=False)))


def location(error: BaseException) -> str:
    """Return file and line of the innermost frame that says something; nothing if none does."""
    frames = traceback.extract_tb(error.__traceback__)
    telling = [f"{frame.filename}:{frame.lineno}" for frame in frames if not _is_dumb(frame.filename)]
    return telling[-1] if telling else ""


def _is_dumb(file: str) -> bool:
    return file.startswith(DUMB)
