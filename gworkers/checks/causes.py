"""What an exception of somebody else has to say in a finding."""
from __future__ import annotations

import importlib
import os
import traceback
from types import TracebackType

import gunicorn
from gunicorn.errors import AppImportError, ConfigError

import gworkers
from gworkers.errors import GworkersError

#: Frames of these say nothing about where a mistake is.
DUMB = ("<frozen ", *(os.path.dirname(module.__file__ or "") + os.sep for module in (gworkers, gunicorn, importlib)))


def told(error: BaseException) -> str:
    """Return what an exception says, and where it was raised, on one line."""
    if isinstance(error, SyntaxError):
        text, place = f"{type(error).__name__}: {error.msg}", f"{error.filename}:{error.lineno}"
    else:
        text, place = str(error), _place(error.__traceback__)
        if not isinstance(error, (GworkersError, ConfigError, AppImportError)):
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = text.rstrip(".")
    line = " ".join(f"{text} ({place})".split() if place else text.split())
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def shortened(error: BaseException) -> BaseException:
    """Leave out of an exception's traceback how it came to the application, if it did."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(DUMB):
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _place(trace: TracebackType | None) -> str:
    """Return file and line of the innermost frame that says something."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
    telling = [frame for frame in frames if not frame.startswith(DUMB)]
    return telling[-1] if telling else ""
