"""The command ``gworkers stacks``: what the greenlets of running workers do."""
from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from gworkers.inspection.control_client import ControlError, ask
from gworkers.inspection.printable import one_line, printable
from gworkers.watch.control_address import ControlAddress

#: Seconds that a worker has for its response.
SECONDS = 5.0
#: The fields of a report.
FIELDS = {"background", "background_count", "greenlet_count", "groups", "idle", "queued", "request_count", "requests"}


def stacks_of(address: ControlAddress) -> Iterator[str]:
    """Yield the lines of the report of one worker, without line ends.

    :raises ControlError: if it does not respond, or runs another version of gworkers
    """
    report = ask(address, {"command": "stacks"}, SECONDS)
    missing = FIELDS - report.keys()
    if missing:
        raise ControlError(f"worker {address.pid} runs another version of gworkers than this command: its report "
                           f"has no {', '.join(sorted(missing))}. Restart the server")
    yield (f"Worker {address.pid}: {_count(report['request_count'], 'request')}, "
           f"{_count(report['greenlet_count'], 'greenlet')} of the application, "
           f"{_count(report['idle'], 'idle request greenlet')}")
    if report["queued"]:
        yield f"{_count(report['queued'], 'request')} wait for the hub, without a greenlet yet"
    for stack, requests in groupby(report["requests"], key=lambda request: request["stack"]):
        yield ""
        for request in requests:
            yield one_line(_line(request))
        yield from _indented(stack)
    if report["background"]:
        yield f"\n{_count(report['background_count'], 'background function')}:"
    for run in report["background"]:
        yield ""
        yield one_line(f"{run['name']} ({run['kind']}), {run['age']:.1f} s old, {run['state']}")
        yield from _indented(run["stack"])
    if len(report["requests"]) < report["request_count"]:
        yield f"\nThe newest {report['request_count'] - len(report['requests'])} requests are not shown."
    for group in report["groups"]:
        yield ""
        yield f"{_count(group['count'], 'greenlet')} of the application, {group['state']}"
        yield from _indented(group["stack"])
    shown = sum(group["count"] for group in report["groups"])
    if shown < report["greenlet_count"]:
        yield f"\nMore greenlets with other stacks: {report['greenlet_count'] - shown}."


def _line(request: dict[str, Any]) -> str:
    return (f"{request['method']} {request['path']} from {request['peer']}, {request['age']:.1f} s old, "
            f"{request['state']}")


def _indented(stack: str) -> Iterator[str]:
    return (f"  {line}" for line in printable(stack or "(no stack)").split("\n"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
