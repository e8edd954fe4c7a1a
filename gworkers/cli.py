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
       gworkers top [--once | --json] ADDRESS
       gworkers stacks PID | PIDFILE | --bind-name ADDRESS
       gworkers profile [--seconds SECONDS] [-o FILE] PID | PIDFILE | --bind-name ADDRESS
       gworkers convert FILE[:SECTION]
       gworkers --help | --version

doctor takes the options of Gunicorn and goes through the start of one worker without serving. It
reports the runtime, the settings and every problem that it finds.

  --json      print one JSON object instead of text
  --all       include the settings of gworkers that have their default value
  OPTIONS     options of Gunicorn, as in: gworkers doctor -c gunicorn.conf.py 'hello:create_app()'

Exit status: 0 a worker can serve, perhaps with warnings; 1 a worker cannot serve; 2 invalid usage.

top shows what the workers of a running server do. ADDRESS is the server's setting status_address.

  --once      print one snapshot, with whole stacks
  --json      print the state as JSON

Exit status: 0 done; 1 ADDRESS does not answer; 2 invalid usage.

stacks prints what the greenlets of running workers do. profile shows where the time of their hubs
goes. Both take the process id of one worker, or for all workers of a server the process id of the
master, its pidfile, or an address that the server listens on, such as 127.0.0.1:8000 or
unix:/run/site.sock. Only the user of the workers and root may use them.

  --seconds   how long to sample; 10 by default
  -o FILE     write the samples to FILE: collapsed stacks if the name ends in .txt or .collapsed,
              otherwise JSON for speedscope

Exit status: 0 all workers have responded; 1 a worker has not; 2 invalid usage, or no worker found.

convert prints a gunicorn.conf.py for a configuration of uWSGI, and lists on stderr the options that
need a decision. FILE is INI, YAML (.yml, .yaml), JSON (.json, .js) or XML (.xml); - is INI on stdin.

Exit status: 0 done; 1 the output cannot be written; 2 invalid usage, or FILE cannot be converted.
"""
#: The options of doctor itself. All others are passed to Gunicorn.
DOCTOR_OPTIONS = ("--json", "--all")


def main() -> int:
    """Run the command in ``sys.argv`` and return the exit status."""
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
    commands = {"doctor": doctor, "top": top, "stacks": stacks, "profile": profile, "convert": convert}
    if command not in commands:
        sys.stderr.write(f"gworkers: unknown command {command!r}\n\n{USAGE}")
        return 2
    try:
        return commands[command](words)
    except KeyboardInterrupt:
        return 130


def doctor(words: list[str]) -> int:
    """Examine how Gunicorn would start with the command line *words*. Return the exit status."""
    as_json = "--json" in words
    # The module is imported later, because doctor reports modules that are imported before the patch.
    printer = "gworkers.doctor.plain_text" if find_spec("rich") is None else "gworkers.doctor.tables"
    try:
        from gworkers.gunicorn_compat import incompatible
        from gworkers.gunicorn_internals import Feature

        finding = incompatible(Feature.SERVING) or incompatible(Feature.DOCTOR)
        if finding is not None:
            _usage_error(str(finding))
            return 1 if finding.fatal else 2
        from gworkers.doctor.examine import examine
        from gworkers.doctor.gunicorn_application import UsageError
    except ValueError as error:
        # Gunicorn reads WEB_CONCURRENCY at import time.
        return _usage_error(f"Gunicorn cannot be imported: {error}. WEB_CONCURRENCY is "
                            f"{os.environ.get('WEB_CONCURRENCY', 'not set')!r}; it must be a number of workers")
    prog = "gworkers doctor"
    sys.argv = [prog, *(word for word in words if word not in DOCTOR_OPTIONS)]
    out = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    try:
        report = examine(prog, None if as_json else printer)
    except UsageError as error:
        return _usage_error(str(error))
    try:
        with out:
            if as_json:
                out.write(report.json() + "\n")
            else:
                import_module(printer).show(report if "--all" in words else report.without_defaults(), out)
    except BrokenPipeError:
        # The reader closed the pipe, as head(1) does.
        pass
    status = 1 if report.stops_worker else 0
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        # The application started threads that would keep this process alive.
        sys.stderr.flush()
        os._exit(status)
    return status


def top(words: list[str]) -> int:
    """Show the state of a running server. Return the exit status."""
    from gworkers.status.top import top

    return top(words)


def stacks(words: list[str]) -> int:
    """Print the greenlets of running workers. Return the exit status."""
    from gworkers.inspection.command_line import stacks

    return stacks(words)


def profile(words: list[str]) -> int:
    """Sample where the time of the hubs of running workers goes. Return the exit status."""
    from gworkers.inspection.command_line import profile

    return profile(words)


def convert(words: list[str]) -> int:
    """Print a gunicorn.conf.py for a configuration of uWSGI. Return the exit status."""
    from gworkers.convert.command_line import main

    return main(words)


def _usage_error(text: str) -> int:
    sys.stderr.write(f"gworkers doctor: {text}\n")
    return 2
