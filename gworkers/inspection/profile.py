"""The command ``gworkers profile``: where the time of the hub goes, by request path."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gworkers.inspection.control_client import ControlError, ask
from gworkers.inspection.flame_files import Profiles
from gworkers.inspection.printable import one_line
from gworkers.watch.control_address import ControlAddress

#: Seconds that a worker has for its response after the end of the profile.
MARGIN = 10.0
#: The most rows of the table, and the widest path in it.
ROWS, WIDTH = 25, 60

Row = tuple[str, ...]


def profile_all(workers: list[ControlAddress], seconds: float) -> tuple[Profiles, list[ControlError]]:
    """Profile *workers* at the same time. Return the results, and an error for each worker that has none."""
    profiles: Profiles = {}
    errors = []
    with ThreadPoolExecutor(len(workers)) as threads:
        running = {address.pid: threads.submit(ask, address, {"command": "profile", "seconds": seconds},
                                               seconds + MARGIN) for address in workers}
        for pid, future in running.items():
            try:
                profiles[pid] = future.result()
            except ControlError as error:
                errors.append(error)
    return profiles, errors


def lines_of(profiles: Profiles) -> Iterator[str]:
    """Yield the report on *profiles*, without line ends."""
    for pid, profile in profiles.items():
        seconds = profile["seconds"] or 1.0
        cpu = f", CPU {profile['cpu'] / seconds:.0%}" if profile["cpu"] else ""
        yield (f"Worker {pid}: {profile['samples']} samples in {profile['seconds']:.1f} s. "
               f"Hub: idle {profile['idle'] / seconds:.0%}{cpu}.")
    yield ""
    if all(profile["paths"] is not None for profile in profiles.values()):
        title: Row = ("Path", "Requests", "Hub time", "Per request", "Longest stretch")
        rows = list(_measured_rows(profiles))
    else:
        title = ("Path", "Hub time")
        rows = list(_sampled_rows(profiles))
    yield "Which paths hold the hub:"
    yield ""
    yield from _table([title, *rows[:ROWS]])
    if len(rows) > ROWS:
        yield f"Further paths: {len(rows) - ROWS}."
    if len(title) == 2:
        yield ""
        yield ("The times are those of the samples. Requests and stretches were not measured in every worker: the hub "
               "has not run during the profile, or its greenlet library reports no switches.")


def _measured_rows(profiles: Profiles) -> Iterator[Row]:
    uses: dict[str, list[Any]] = defaultdict(lambda: [0, 0.0, 0.0])
    for profile in profiles.values():
        for name, requests, seconds, longest in profile["paths"]:
            use = uses[name]
            use[0] += requests
            use[1] += seconds
            use[2] = max(use[2], longest)
    for name, (requests, seconds, longest) in sorted(uses.items(), key=lambda item: -item[1][1]):
        yield (_shortened(name), str(requests) if requests else "", _time(seconds),
               _time(seconds / requests) if requests else "", _time(longest))


def _sampled_rows(profiles: Profiles) -> Iterator[Row]:
    times: dict[str, float] = defaultdict(float)
    for profile in profiles.values():
        for owner, _, seconds in profile["stacks"]:
            times[owner] += seconds
    for name, seconds in sorted(times.items(), key=lambda item: -item[1]):
        yield _shortened(name), _time(seconds)


def _table(rows: list[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *others in rows:
        numbers = (text.rjust(width) for text, width in zip(others, widths[1:]))
        yield f"  {'  '.join([first.ljust(widths[0]), *numbers])}"


def _shortened(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= WIDTH else f"{name[:WIDTH - 3]}..."


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1e6:.0f} us"
