"""Gunicorn's control server, as far as no server is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORK = """
import os, sys, warnings
from gworkers.master.control_server import ignore_fork_warning

def warn():
    try:
        warnings.warn("This process (pid=1) is multi-threaded, use of fork() may lead to deadlocks in the child.",
                      DeprecationWarning, stacklevel=1)
    except DeprecationWarning:
        return "raised"
    return "ignored"

warnings.simplefilter("error")
print("before", warn())
ignore_fork_warning()
print("master", warn(), flush=True)
pid = os.fork()
if pid == 0:
    print("child", warn(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print("master", warn())
"""


@pytest.mark.smoke
def test_fork_warning_is_ignored_in_the_master_only() -> None:
    run = subprocess.run([sys.executable, "-W", "error", "-c", FORK], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["before raised", "master ignored", "child raised", "master ignored"]
