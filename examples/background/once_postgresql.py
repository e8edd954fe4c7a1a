"""A function that one of several servers runs, decided by an advisory lock of PostgreSQL.

``DATABASE_URL`` names the database, which has this table::

    CREATE TABLE background_run (name text PRIMARY KEY, slot bigint NOT NULL)
"""
from __future__ import annotations

import functools
import os
import time
from typing import Callable

import psycopg

#: Records a run, unless the slot of the last one is the same or a later one.
RECORD = """
    INSERT INTO background_run (name, slot) VALUES (%s, %s)
    ON CONFLICT (name) DO UPDATE SET slot = excluded.slot WHERE background_run.slot < excluded.slot
    RETURNING slot
"""


def once_per_cluster(name: str, period: float) -> Callable[[Callable[[], object]], Callable[[], None]]:
    """Decorate a handler: of all servers with this database, one runs it in each period.

    :param name: the same on all servers
    :param period: seconds of the wall clock; more than the clocks of the servers differ
    """
    def decorate(function: Callable[[], object]) -> Callable[[], None]:
        @functools.wraps(function)
        def run() -> None:
            slot = int(time.time() // period)
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
                # PostgreSQL releases the lock when the connection is closed, also if this process is killed.
                locked = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", [name]).fetchone()
                # Without the record, a server whose timer is later would run the function again.
                if locked == (True,) and connection.execute(RECORD, [name, slot]).fetchone():
                    function()

        return run

    return decorate
