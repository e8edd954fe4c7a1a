"""What the client libraries have in common that requests use until they are cancelled."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version

#: Connections of a pool, and seconds that a request waits for one.
SIZE, PATIENCE = 6, float(os.environ["PATIENCE"])
#: The kernel buffers little, so that a request also waits while it sends.
SMALL_BUFFER = (socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)


class Client:
    """One library, and one way to use it.

    ``echo(value, seconds)`` asks the server for *value*, which it returns after *seconds*. ``write_two_rows(token)``
    is one transaction, and ``half_transactions()`` counts those of which one row only is there. ``lend()`` is a
    context manager that takes a connection.
    """

    #: whose versions are of interest
    packages = ()
    size = SIZE

    def versions(self):
        return {package: version(package) for package in self.packages}


def hub_semaphore(size=SIZE):
    """Return a semaphore of the hub's library. In contrast to that of threading, its release never waits."""
    module = {"gevent": "gevent.lock", "eventlet": "eventlet.semaphore"}[os.environ["HUB"]]
    return import_module(module).BoundedSemaphore(size)


@contextmanager
def held(semaphore):
    """Hold *semaphore*, for which a request waits for a limited time."""
    if not semaphore.acquire(timeout=PATIENCE):
        raise TimeoutError("the semaphore was not released")
    try:
        yield
    finally:
        semaphore.release()
