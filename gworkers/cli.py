"""The command ``gworkers``."""
from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from importlib.util import find_spec

from gworkers import __version__

USAGE = """\
usage: gworkers doctor [--json] [--all] [OPTIONS] [APP_MODULE]
       gworkers --help | --version

doctor starts as Gunicorn would with the same options and the same application, as far as that is
possible without serving, and says what it runs on, how it is set up, and what is wrong with that.

  --json      one JSON object instead of text
  --all       gworkers' settings that are at their default, too
  OPTIONS     Gunicorn's, as in: gworkers doctor -c gunicorn.conf.py 'hello:create_app()'

Exit status: 0 fine, perhaps with warnings; 1 a worker could not serve like that; 2 bad usage.
"""
#: Doctor's own; the others are Gunicorn's.
OPTIONS = ("--json", "--all")


def main() -> int:
    """Do what ``sys.argv`` says; return the exit status."""
    if len(sys.argv) < 2:
        sys.stderr.write(USAGE)
        return 2
    command, *words = sys.argv[1:]
    if command in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    if command in ("-v", "--version"):
        sys.stdout.write(f"gworkers {__version__}\n")
        return 0
    if command != "doctor":
        sys.stderr.write(f"gworkers: {command} is no command of it\n\n{USAGE}")
        return 2
    try:
        return doctor(words)
    except KeyboardInterrupt:
        return 130


def doctor(words: list[str]) -> int:
    """Look at what *words*, a command line for Gunicorn, would start; return the exit status."""
    as_json = "--json" in words
    # Not imported yet: what is imported before the patch is among the things that are looked at.
    printer = "gworkers.doctor.plain_text" if find_spec("rich") is None else "gworkers.doctor.tables"
    try:
        from gworkers.doctor.configured import UsageError
        from gworkers.doctor.examine import examine
    except ValueError as error:
        # Gunicorn reads it when it is imported.
        return _complain(f"Gunicorn cannot be imported: {error}. WEB_CONCURRENCY is "
                         f"{os.environ.get('WEB_CONCURRENCY', 'not set')!r}, and has to be a number of workers")
    prog = "gworkers doctor"
    sys.argv = [prog, *(word for word in words if word not in OPTIONS)]
    out = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    try:
        report = examine(prog, None if as_json else printer)
    except UsageError as error:
        return _complain(str(error))
    try:
        with out:
            if as_json:
                out.write(report.json() + "\n")
            else:
                import_module(printer).show(report if "--all" in words else report.without_defaults(), out)
    except BrokenPipeError:
        # Who reads has read enough.
        pass
    status = 1 if report.stops else 0
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        # The application has started what does not mean to end.
        sys.stderr.flush()
        os._exit(status)
    return status


def _complain(text: str) -> int:
    sys.stderr.write(f"gworkers doctor: {text}\n")
    return 2
