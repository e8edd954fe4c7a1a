"""The listening sockets of a worker that opens its own (``reuse_port``)."""
from __future__ import annotations

import socket
from typing import Any

from gworkers.errors import StartError
from gworkers.findings import Finding


class OwnSocket:
    """A worker's own socket on an address that others listen on too (``reuse_port``).

    Gunicorn makes it, listening, before the worker loads the application; clients that the kernel sends to it would
    wait for that. This one is bound as early, while the process may have the rights for it, and listens when told.

    :raises OSError: if the address cannot be had
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
        # As Gunicorn's do, which hooks know.
        return getattr(self.sock, name)


def open_own(cfg: Any) -> list[OwnSocket]:
    """Open the sockets of a worker that was forked like that.

    :raises StartError: if an address cannot be had
    """
    cfg.set("reuse_port", True)
    try:
        return [OwnSocket(address) for address in cfg.address]
    except OSError as error:
        raise StartError(Finding(
            "worker-setup-failed", f"bind has an address that cannot be had: {error}",
            "clients would not reach the worker", "Look who has it (ss -ltnp), or choose another",
            fatal=True)) from None
