"""psycopg2 on a hub: it can be told how to wait, which psycogreen does in the same way."""
from __future__ import annotations

import select
from importlib import import_module
from typing import Any

from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting


def install() -> None:
    """Let psycopg2 wait in ``select``, which is cooperative once it is patched.

    :raises SettingsError: if psycopg2 cannot be imported
    """
    try:
        extensions = import_module("psycopg2.extensions")
    except ImportError as error:
        raise SettingsError(invalid_setting(
            "gworkers setting psycopg2 is 'wait'", f"psycopg2 cannot be imported ({describe(error)})",
            "pip install --upgrade --force-reinstall psycopg2-binary, or leave the setting alone")) from None

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
