"""Files with the samples of a profile: JSON for speedscope, and collapsed stacks for other tools."""
from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gworkers import __version__
from gworkers.inspection.printable import one_line

#: https://www.speedscope.app/file-format-schema.json
SCHEMA = "https://www.speedscope.app/file-format-schema.json"
#: The ends of the names of files that get collapsed stacks.
COLLAPSED = (".txt", ".collapsed")

#: The responses of workers to the command ``profile``, by process id.
Profiles = dict[int, dict[str, Any]]


def content_for(path: str, profiles: Profiles) -> str:
    """Return what to write to the file at *path*."""
    if path.endswith(COLLAPSED):
        return "".join(f"{line}\n" for line in collapsed(profiles))
    return json.dumps(speedscope(profiles))


def speedscope(profiles: Profiles) -> dict[str, Any]:
    """Return the content of a speedscope file with one profile for each worker.

    The outermost frame of each stack is the request, or the greenlet that serves none. Time in which the hub is idle
    is left out.
    """
    frames: dict[tuple[object, ...], int] = {}
    shown = []
    for pid, profile in profiles.items():
        samples, weights = [], []
        for owner, numbers, seconds in profile["stacks"]:
            functions = [(owner,), *(tuple(profile["functions"][number]) for number in numbers)]
            samples.append([frames.setdefault(function, len(frames)) for function in functions])
            weights.append(seconds)
        shown.append({"type": "sampled", "name": f"worker {pid}", "unit": "seconds", "startValue": 0,
                      "endValue": sum(weights), "samples": samples, "weights": weights})
    keys = ("name", "file", "line")
    return {"$schema": SCHEMA, "exporter": f"gworkers {__version__}", "name": "gworkers profile",
            "activeProfileIndex": 0, "shared": {"frames": [dict(zip(keys, frame)) for frame in frames]},
            "profiles": shown}


def collapsed(profiles: Profiles) -> Iterator[str]:
    """Yield lines of function names, separated by semicolons, and milliseconds, the outermost frame first."""
    for pid, profile in profiles.items():
        for owner, numbers, seconds in profile["stacks"]:
            functions = (profile["functions"][number] for number in numbers)
            names = [f"worker {pid}", owner, *(f"{name} ({file}:{line})" for name, file, line in functions)]
            yield f"{';'.join(one_line(name).replace(';', ',') for name in names)} {max(round(seconds * 1000), 1)}"
