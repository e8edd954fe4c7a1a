"""psycopg2 on a hub: it can be told how to wait, which psycogreen does in the same way."""
from __future__ import annotations

import select
from importlib import import_module
from typing import Any


def install() -> None:
    """Let psycopg2 wait in ``select``, which is cooperative once it is patched.

    :raises ImportError: if psycopg2 is not installed
    """
    extensions = import_module("psycopg2.extensions")

    def wait(connection: Any) -> None:
        while True:
            state = connection.poll()
            if state == extensions.POLL_READ:
                select.select([connection], [], [])
            elif state == extensions.POLL_WRITE:
                select.select([], [connection], [])
            else:
                return

    extensions.set_wait_callback(wait)
