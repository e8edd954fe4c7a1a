"""The command lines of ``gworkers stacks`` and ``gworkers profile``."""
from __future__ import annotations

import argparse
import os
import sys

from gworkers.inspection.control_client import ControlError
from gworkers.inspection.stacks import stacks_of
from gworkers.inspection.workers import UnknownServerError, workers_at, workers_of
from gworkers.watch.control_address import ControlAddress


def stacks(words: list[str]) -> int:
    """Run ``gworkers stacks`` with the arguments *words*. Return the exit status."""
    options = _parser("stacks", "Print what the greenlets of running workers do.").parse_args(words)
    try:
        return _print_stacks(_workers(options))
    except UnknownServerError as error:
        sys.stderr.write(f"gworkers stacks: {error}\n")
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


def _print_stacks(workers: list[ControlAddress]) -> int:
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


def _write(text: str) -> None:
    """Write *text* to stdout, with characters escaped that its encoding does not have."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
