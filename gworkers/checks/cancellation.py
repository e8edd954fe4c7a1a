"""Checks for libraries that an exception in the middle of a call damages, if requests are cancelled.

docs/cancellation.md has the tests that show it.
"""
from __future__ import annotations

import sys
from dataclasses import dataclass

from gworkers.findings import Finding
from gworkers.settings import Settings


@dataclass(frozen=True)
class Library:
    """A library that does not survive that a request is cancelled while it uses the library."""

    module: str
    #: what happens to later requests
    impact: str
    fix: str
    #: a module that uses the library in a safe way
    safe_with: str = ""


LIBRARIES = (
    Library("psycopg_pool", "a request that is cancelled while it waits for a connection takes one out of the pool, "
            "until the pool is empty", "Use SQLAlchemy's pool, or one connection per request"),
    Library("psycopg2.pool", "a request that is cancelled while it returns a connection takes one out of the pool, "
            "until the pool is empty", "Use SQLAlchemy's pool, or one connection per request"),
    Library("pymysql", "if a request is cancelled while it sends a command, the next command on this connection hangs",
            "Close the connection after each request or BaseException, as SQLAlchemy's pool does", "sqlalchemy.pool"),
    Library("httpx", "a request that is cancelled while it waits for a connection takes one out of the pool, until "
            "the pool is empty", "Create the client with limits=httpx.Limits(max_connections=None)"),
)


def check(settings: Settings, reported: set[str]) -> list[Finding]:
    """Return a finding for each imported library that cancelled requests damage, if *settings* cancel requests.

    :param reported: modules that were reported before; new ones are added
    """
    causes = [f"{name} is 'cancel'" for name in ("request_timeout_action", "on_client_gone")
              if getattr(settings, name) == "cancel"]
    if not causes:
        return []
    found = [library for library in LIBRARIES if library.module in sys.modules and library.module not in reported
             and library.safe_with not in sys.modules]
    reported.update(library.module for library in found)
    return [Finding("cancel-unsafe", f"{' and '.join(causes)}, and {library.module} is imported", library.impact,
                    library.fix) for library in found]
