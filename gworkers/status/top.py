"""``gworkers top``: the state of a running server in a terminal, once or continuously."""
from __future__ import annotations

import argparse
import io
import json
import os
import sys
import time
from collections import deque
from importlib.util import find_spec

from gworkers.status.changes import changes
from gworkers.status.client import State, StatusUnavailable, fetch

#: Seconds between two snapshots.
PERIOD = 1.0
#: The snapshots from the first to the last of which rates are computed. Workers report every 0.4 s.
SNAPSHOTS = 6


def top(words: list[str]) -> int:
    """Run ``gworkers top`` with the arguments *words*. Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="gworkers top", description="Show what the workers of a running server do.",
        epilog="Without --json the package rich is needed. If the output is no terminal, one snapshot is printed.")
    parser.add_argument("address", help="the server's setting status_address: host:port or unix:/path")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--once", action="store_true", help="print one snapshot with whole stacks, and exit")
    output.add_argument("--json", action="store_true", help="print the content of /state.json, and exit")
    options = parser.parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        state = fetch(options.address)
        if options.json:
            # The JSON encoder escapes all control characters but DEL.
            print(json.dumps(state, indent=2).replace("\x7f", "\\u007f"))  # noqa: T201
            return 0
        if find_spec("rich") is None:
            return _error("the package rich is not installed; run pip install 'gworkers[doctor]', or use --json", 2)
        if options.once or not sys.stdout.isatty():
            # A rate needs two snapshots.
            time.sleep(PERIOD)
            print_once(state, fetch(options.address))
        else:
            follow(options.address, state)
    except ValueError as error:
        return _error(str(error), 2)
    except StatusUnavailable as error:
        return _error(str(error), 1)
    except BrokenPipeError:
        # The reader closed the pipe, as head(1) does. At exit Python flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def print_once(before: State, after: State) -> None:
    """Print the second of two snapshots, with rates since the first one."""
    from gworkers.status.top_view import View, print_view

    view = View(after, changes(before, after))
    print_view(view)


def follow(address: str, state: State) -> None:
    """Show the state on the terminal until the user interrupts. If the address stops answering, try again."""
    from gworkers.status.top_view import Charts, Screen, View

    snapshots = deque([state], maxlen=SNAPSHOTS)
    charts = Charts()
    with Screen() as screen:
        problem = ""
        while True:
            current = snapshots[-1]
            view = View(current, changes(snapshots[0], current), charts, problem)
            screen.show(view)
            time.sleep(PERIOD)
            try:
                state, problem = fetch(address), ""
            except StatusUnavailable as error:
                problem = str(error)
                continue
            if state["server"]["started"] != current["server"]["started"]:
                # The server is a new one, and its counters have begun again.
                snapshots.clear()
            snapshots.append(state)


def _error(text: str, status: int) -> int:
    sys.stderr.write(f"gworkers top: {text}\n")
    return status
