"""The text of an exception in a finding or a log line, and its traceback without the server's frames."""
from __future__ import annotations

import importlib
import os
import sys
import sysconfig
import traceback

import gunicorn

import gworkers
from gworkers.errors import GworkersError
from gworkers.gunicorn_compat import optional

#: Gunicorn's exceptions whose text is clear without their type. An empty tuple, which isinstance() never matches,
#: replaces one that the installed release lacks.
AppImportError = optional("gunicorn.errors:AppImportError", ())
ConfigError = optional("gunicorn.errors:ConfigError", ())

#: File name prefixes of the frames between the server and the application. They do not help to find a mistake.
#: ``<string>`` is the file of methods that dataclasses generate.
SERVER_FILES = (
    "<frozen ", "<string>",
    *(os.path.dirname(module.__file__ or "") + os.sep for module in (gworkers, gunicorn, importlib)))
#: File name prefixes of the standard library and of installed packages.
LIBRARY_FILES = tuple(
    sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def actual_error(error: BaseException) -> BaseException:
    """Return the exception to report for *error*.

    After a TypeError in a call, Gunicorn inspects the code of the function. If the function has no code
    object, this inspection fails with an AttributeError, which hides the TypeError.
    """
    first = error.__context__
    hidden = isinstance(error, AttributeError) and isinstance(first, TypeError) and not location(error)
    return first if hidden and first is not None else error


def describe(error: BaseException) -> str:
    """Return the type and the message of *error* and the place that raised it, on one printable line."""
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
    """Remove the leading server frames from the tracebacks of *error* and of its causes. Return *error*."""
    chain: list[BaseException] = []
    following: list[BaseException | None] = [error]
    while following:
        link = following.pop()
        if link is None or link in chain:
            continue
        chain.append(link)
        following += [link.__cause__, link.__context__]
        trace = link.__traceback__
        while trace is not None and _is_server_file(trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        link.__traceback__ = trace
    return error


def print_traceback(error: BaseException) -> None:
    """Print the traceback of *error* to stderr, without the exceptions in its context.

    One write keeps the tracebacks of several workers apart.
    """
    sys.stderr.write("".join(traceback.format_exception(type(error), error, error.__traceback__, chain=False)))


def location(error: BaseException) -> str:
    """Return file and line of the innermost frame outside the server; empty if there is none.

    Frames of the application are preferred to those of libraries, because the mistake is there more often.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_server_file(frame.filename)]
    own = [frame for frame in frames if not frame.filename.startswith(LIBRARY_FILES)]
    return next((f"{frame.filename}:{frame.lineno}" for frame in reversed(own or frames)), "")


def _is_server_file(file: str) -> bool:
    return file.startswith(SERVER_FILES)
