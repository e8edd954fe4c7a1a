"""The listening sockets that a worker opens itself (setting ``reuse_port``)."""
from __future__ import annotations

import socket
from typing import Any

from gworkers.errors import StartError
from gworkers.findings import Finding


class OwnSocket:
    """A worker's socket on an address that other workers listen on too (``reuse_port``).

    Gunicorn's own socket listens before the worker loads the application, so clients have to wait. This one is bound
    at the same time, because that may need the privileges of the process. It listens only after ``listen()``.

    :raises OSError: if the socket cannot be bound
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        for level, option in ((socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_REUSEPORT),
                              (socket.IPPROTO_TCP, socket.TCP_NODELAY)):
            self.sock.setsockopt(level, option, 1)
        try:
            self.sock.bind(address)
        except OSError:
            self.sock.close()
            raise
        self.sock.setblocking(False)

    def __getattr__(self, name: str) -> Any:
        # Gunicorn's socket objects do so too, and hooks may depend on it.
        return getattr(self.sock, name)


def open_own_sockets(cfg: Any) -> list[OwnSocket]:
    """Open the sockets of a worker that has none from the master.

    :raises StartError: if a socket cannot be bound
    """
    cfg.set("reuse_port", True)
    try:
        return [OwnSocket(address) for address in cfg.address]
    except OSError as error:
        raise StartError(Finding(
            "worker-setup-failed", f"an address in bind cannot be used: {error}",
            "clients could not reach the worker", "Find the process that uses it (ss -ltnp), or choose another address",
            fatal=True)) from None
