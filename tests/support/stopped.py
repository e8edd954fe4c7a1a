"""Processes that are stopped for a time, as on a machine that is overloaded or suspended."""

from __future__ import annotations

import os
import signal
import time


def stop_for(pid: int, seconds: float) -> None:
    """Stop the process, and let it continue after so many seconds. The time is the subject of the test."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
