"""The thread-locals of a greenlet that ends."""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.logs.queue import LogQueue


def close_connections(log: LogQueue) -> None:
    """Close the database connections that Django keeps for the current greenlet. Call it before the greenlet ends.

    Thread-locals are released with their greenlet. But Django's connection objects are in reference cycles, so their
    connections would stay open until the garbage collector runs.

    :param log: where to report exceptions
    """
    conf: Any = sys.modules.get("django.conf")
    database: Any = sys.modules.get("django.db")
    try:
        if database is not None and conf is not None and conf.settings.configured:
            database.connections.close_all()
    except Exception as error:
        log.failure("the connections of a greenlet that ends", error)
