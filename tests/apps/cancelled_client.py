"""What the client libraries have in common that requests use until they are cancelled."""

from __future__ import annotations

import socket
from importlib.metadata import version

#: Connections of a pool, and seconds that a request waits for one.
SIZE, PATIENCE = 6, 5
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
