"""Gunicorn's control server, which Gunicorn 25.3 cannot stop while it starts."""
from __future__ import annotations

import os
import time
from typing import Any

#: Seconds that the control server may take to start. After that the master does not wait for it any longer.
START_TIMEOUT = 1.0


class ControlServerStart:
    """Waits until the control server can be stopped.

    The server is a thread, which Gunicorn stops before each fork and at the end. In Gunicorn 25.3 a thread that has
    just been started ignores that. Gunicorn waits for it in vain, then abandons it with its file descriptors.
    """

    def __init__(self) -> None:
        self._server: Any = None

    def watch(self, server: Any) -> None:
        """Gunicorn has started *server*: wait for it before each fork."""
        if hasattr(server, "_server") and not hasattr(server, "_ready"):
            self._server = server
            # Registered after Gunicorn's own function, it is called before that.
            os.register_at_fork(before=self.wait)

    def wait(self) -> None:
        """Return when the control server, if there is one, can be stopped."""
        server, until = self._server, time.monotonic() + START_TIMEOUT
        while (server is not None and server._running and server._server is None and server._thread.is_alive()
               and time.monotonic() < until):
            # In a master that is patched the thread is a greenlet, which runs in this pause.
            time.sleep(0.001)
