"""The memory of a process."""

from __future__ import annotations

import resource

import pytest


def resident(pid: int) -> int:
    """The bytes of resident memory of a process; skips the test where they cannot be read."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        pytest.skip("memory is read from /proc")
