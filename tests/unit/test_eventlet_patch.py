"""What eventlet says when gworkers patches with it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

PATCH = """
import threading
from gworkers.hubs import eventlet as hub
hub.patch(["all"])
cleanup = getattr(threading, "_DeleteDummyThreadOnDel", None)
if cleanup is not None and cleanup.__del__.__defaults__:
    assert threading._active_limbo_lock in cleanup.__del__.__defaults__
"""


@pytest.mark.smoke
@pytest.mark.skipif(importlib.util.find_spec("eventlet") is None, reason="no eventlet")
def test_patching_leaves_no_lock_that_eventlet_reports() -> None:
    # eventlet does not report in a test of pytest's, which this variable reveals.
    patch = f"import os; os.environ.pop('PYTEST_CURRENT_TEST', None)\n{PATCH}"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", patch], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
