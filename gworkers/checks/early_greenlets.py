"""Checks for greenlets that exist in the master before it forks workers. Scripts start them before the server."""
from __future__ import annotations

import gc
import os
import sys
from typing import Any

from gworkers.findings import Finding
from gworkers.hubs import HUBS

LIBRARIES = {row.library for row in HUBS.values()}
#: The maximum number of greenlets that a finding names.
MAX_NAMED = 3


def check() -> list[Finding]:
    """Return a finding if greenlets wait in this process, which is about to fork workers."""
    module = sys.modules.get("greenlet")
    if module is None:
        return []
    # The parent of a greenlet that an application has started is the hub, and the parent of the hub is the main
    # greenlet of the thread.
    started = [each for each in gc.get_objects() if isinstance(each, module.greenlet)
               and not each.dead and each.parent is not None and each.parent.parent is not None]
    if not started:
        return []
    named = ", ".join(sorted({_name(each) for each in started})[:MAX_NAMED])
    count = "1 greenlet was" if len(started) == 1 else f"{len(started)} greenlets were"
    return [Finding(
        "early-greenlets", f"{count} started before the server ({named})",
        "each of them runs in the master, in every worker, or not at all",
        "Start them in the hook post_worker_init, or use gworkers.background")]


def _name(greenlet: Any) -> str:
    """Return the function that *greenlet* runs or will run."""
    frame = getattr(greenlet, "gr_frame", None)
    name = ""
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in LIBRARIES:
            name = f"{frame.f_code.co_name} in {os.path.basename(frame.f_code.co_filename)}"
        frame = frame.f_back
    # gevent keeps the function of a greenlet that has not run yet here. eventlet keeps it in a timer of its hub.
    return name or getattr(getattr(greenlet, "_run", None), "__qualname__", "unknown function")
