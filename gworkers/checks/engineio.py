"""Checks for the part of python-engineio that waits, on which python-socketio and Flask-SocketIO are built.

It has one driver for each event loop and imports the one that it uses.
"""
from __future__ import annotations

import sys

from gworkers.findings import Finding

DRIVER = "engineio.async_drivers."
#: The drivers that wait on a hub. Those for threads work on each hub.
HUB_DRIVERS = ("eventlet", "gevent")


def check(library: str, reported: set[str]) -> list[Finding]:
    """Return a finding if python-engineio uses a driver that fails in a worker on *library*.

    :param reported: modules that were reported before; new ones are added
    """
    found = []
    for other in HUB_DRIVERS:
        if other != library and _is_new(DRIVER + other, reported):
            mode = library if library in HUB_DRIVERS else "threading"
            found.append(Finding(
                "engineio-driver", f"python-engineio waits with {other}, but the worker runs on {library}",
                "each request of a Socket.IO client that waits blocks all other requests of the worker",
                f"Create SocketIO() or socketio.Server() with async_mode='{mode}'"))
    return found


def _is_new(module: str, reported: set[str]) -> bool:
    if module not in sys.modules or module in reported:
        return False
    reported.add(module)
    return True
