"""Waiting for a condition, never just for time to pass."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

#: Seconds after which something that should happen at once has not happened. A worker on PyPy imports and patches for
#: seconds, and several share a core.
WAIT_LIMIT = 60.0 if sys.implementation.name == "pypy" else 20.0


def until(condition: Callable[[], Result], what: str, limit: float = WAIT_LIMIT) -> Result:
    """Ask again and again until the answer is true; returns it. ``what`` is hoped for, in the words of an error."""
    deadline = time.monotonic() + limit
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not in {limit} s: {what}"
        time.sleep(0.01)
    return result


def until_gone(*pids: int, limit: float = WAIT_LIMIT) -> None:
    """Wait until none of these processes is there."""
    until(lambda: not any(map(is_alive, pids)), f"the end of {pids}", limit)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
