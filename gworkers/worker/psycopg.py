"""The wait callback that makes psycopg2 cooperative. psycogreen installs a similar one."""
from __future__ import annotations

import select
from importlib import import_module
from typing import Any

from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting


def install_wait_callback() -> None:
    """Make psycopg2 wait with ``select.select``, which is cooperative after the patch.

    :raises SettingsError: if psycopg2 cannot be imported
    """
    try:
        extensions = import_module("psycopg2.extensions")
    except ImportError as error:
        raise SettingsError(invalid_setting(
            "gworkers setting psycopg2 is 'wait'", f"psycopg2 cannot be imported ({describe(error)})",
            "pip install --upgrade --force-reinstall psycopg2-binary, or remove the setting")) from None

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
