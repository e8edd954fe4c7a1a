"""The command lines of ``gworkers stacks`` and ``gworkers profile``."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from gworkers.inspection.control_client import ControlError
from gworkers.inspection.flame_files import content_for
from gworkers.inspection.profile import lines_of, profile_all
from gworkers.inspection.stacks import stacks_of
from gworkers.inspection.workers import UnknownServerError, workers_at, workers_of
from gworkers.watch.control_address import ControlAddress

#: The most seconds of a profile.
MAXIMUM = 3600.0


def stacks(words: list[str]) -> int:
    """Run ``gworkers stacks`` with the arguments *words*. Return the exit status."""
    parser = _parser("stacks", "Print what the greenlets of running workers do.")
    return _run(_print_stacks, parser.parse_args(words))


def profile(words: list[str]) -> int:
    """Run ``gworkers profile`` with the arguments *words*. Return the exit status."""
    parser = _parser("profile", "Sample where the time of the hub goes, by request path.")
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="how long to sample; 10 by default")
    parser.add_argument("-o", dest="file", metavar="FILE", help="write the samples to FILE: collapsed stacks if the "
                        "name ends in .txt or .collapsed, otherwise JSON for speedscope")
    return _run(_print_profile, parser.parse_args(words))


def _run(command: Callable[[list[ControlAddress], argparse.Namespace], int], options: argparse.Namespace) -> int:
    try:
        return command(_workers(options), options)
    except UnknownServerError as error:
        sys.stderr.write(f"gworkers: {error}\n")
        return 2
    except BrokenPipeError:
        # The reader closed the pipe, as head(1) does. At exit Python flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"gworkers {command}", description=description, allow_abbrev=False)
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("server", nargs="?", metavar="PID|PIDFILE", help="a worker, or a master with all its workers")
    server.add_argument("--bind-name", metavar="ADDRESS", help="an address that the server listens on, such as "
                        "127.0.0.1:8000 or unix:/run/site.sock")
    return parser


def _workers(options: argparse.Namespace) -> list[ControlAddress]:
    return workers_at(options.bind_name) if options.bind_name else workers_of(options.server)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= MAXIMUM:
        raise ValueError
    return seconds


def _print_stacks(workers: list[ControlAddress], options: argparse.Namespace) -> int:
    status, separator = 0, ""
    for address in workers:
        try:
            report = "".join(f"{line}\n" for line in stacks_of(address))
        except ControlError as error:
            sys.stderr.write(f"gworkers stacks: {error}.\n")
            status = 1
            continue
        _write(separator + report)
        sys.stdout.flush()
        separator = "\n\n"
    return status


def _print_profile(workers: list[ControlAddress], options: argparse.Namespace) -> int:
    sys.stderr.write(f"Profiling for {options.seconds:g} s. Workers: {len(workers)}.\n")
    profiles, errors = profile_all(workers, options.seconds)
    for error in errors:
        sys.stderr.write(f"gworkers profile: {error}.\n")
    if not profiles:
        return 1
    _write("".join(f"{line}\n" for line in lines_of(profiles)))
    if options.file is not None:
        try:
            with open(options.file, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(content_for(options.file, profiles))
        except OSError as error:
            sys.stderr.write(f"gworkers profile: the samples cannot be written: {error}.\n")
            return 1
    return 1 if errors else 0


def _write(text: str) -> None:
    """Write *text* to stdout, with characters escaped that its encoding does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
