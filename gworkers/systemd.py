"""Notifications to systemd, or another service manager with the same protocol (sd_notify(3))."""
from __future__ import annotations

import _socket
import os
import socket
from collections.abc import MutableMapping

VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Sends notifications. Without a service manager it does nothing.

    Gunicorn notifies systemd as soon as it listens. gworkers hides the socket from it until then, because no worker
    serves yet.
    """

    def __init__(self) -> None:
        self._address = ""

    def hold(self, environ: MutableMapping[str, str]) -> None:
        """Take the address of the socket from *environ*."""
        self._address = environ.pop(VARIABLE, "") or self._address

    def release(self, environ: MutableMapping[str, str]) -> None:
        """Put the address of the socket back into *environ*, for the application and for a second master."""
        if self._address:
            environ[VARIABLE] = self._address
        else:
            self._address = environ.get(VARIABLE, "")

    @property
    def is_wanted(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def send(self, *assignments: str) -> None:
        """Send *assignments* such as ``READY=1``. Errors are ignored, as sd_notify(3) recommends."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            sock = _socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.sendto("\n".join(assignments).encode(), address)
            finally:
                sock.close()
        except OSError:
            pass


#: The notifier of this process, which is a master.
NOTIFIER = Notifier()


def watchdog_seconds() -> float:
    """Return the time after which systemd regards this process as hung (``WatchdogSec=``); 0 if it does not ask."""
    try:
        if int(os.environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return 0.0
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return 0.0
