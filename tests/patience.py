"""Waiting for a condition, never just for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from server import PATIENCE, lives

Result = TypeVar("Result")


def until(condition: Callable[[], Result], what: str, limit: float = PATIENCE) -> Result:
    """Ask again and again until the answer is true; returns it. ``what`` is hoped for, in the words of an error."""
    deadline = time.monotonic() + limit
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not in {limit} s: {what}"
        time.sleep(0.01)
    return result


def gone(*pids: int, limit: float = PATIENCE) -> None:
    """Wait until none of these processes is there."""
    until(lambda: not any(map(lives, pids)), f"the end of {pids}", limit)
