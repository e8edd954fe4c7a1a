"""Checks for more database connections than the database usually accepts, if each pool and each greenlet is used.

The limit of the database itself is not known, because no check connects to it.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

from gworkers.findings import Finding
from gworkers.settings import Settings


class Database(NamedTuple):
    """A database system."""

    name: str
    #: a part of the names of its dialects and engines
    part: str
    #: the connections that it accepts by default
    limit: int


DATABASES = (Database("PostgreSQL", "postg", 100), Database("MySQL", "mysql", 151), Database("MariaDB", "mariadb", 151))


def check(cfg: Any, settings: Settings) -> list[Finding]:
    """Return findings about the databases of the loaded application. *cfg* is Gunicorn's configuration."""
    found: list[Finding] = []
    for finder in (_django, _sqlalchemy):
        try:
            found += finder(cfg, settings)
        except Exception:
            # Another package of the same name, or its settings cannot be read.
            continue
    return found


def _django(cfg: Any, settings: Settings) -> Iterator[Finding]:
    django = getattr(sys.modules.get("django.conf"), "settings", None)
    # The connections of a fresh greenlet end with it.
    if django is None or not django.configured or settings.request_greenlets == "fresh":
        return
    requests = settings.max_active_requests or cfg.worker_connections
    for alias, configured in django.DATABASES.items():
        database, age = _database(configured["ENGINE"]), configured.get("CONN_MAX_AGE", 0)
        if database is not None and age != 0 and cfg.workers * requests > database.limit:
            yield Finding(
                "database-connections",
                f"CONN_MAX_AGE of the database {alias!r} is {age}, so each request greenlet keeps a connection, up to "
                f"{cfg.workers * requests} in all workers", _impact(database),
                "Set CONN_MAX_AGE to 0, perhaps with pgbouncer or Django's pool; or limit the requests: "
                f"GWORKERS_MAX_ACTIVE_REQUESTS={_share(database, cfg.workers)} in the environment")


def _sqlalchemy(cfg: Any, settings: Settings) -> Iterator[Finding]:
    engine_type = getattr(sys.modules.get("sqlalchemy.engine"), "Engine", None)
    if engine_type is None:
        return
    # Engines may share a pool, and servers may have several databases.
    engines = {id(each.pool): each for each in gc.get_objects() if issubclass(type(each), engine_type)}
    servers: dict[tuple[Database, object, object], float] = {}
    for engine in engines.values():
        database = _database(engine.dialect.name)
        if database is not None and hasattr(engine.pool, "_max_overflow"):
            server = database, engine.url.host, engine.url.port
            servers[server] = servers.get(server, 0) + _capacity(engine.pool)
    for (database, host, _), size in servers.items():
        if cfg.workers * size > database.limit:
            number = "any number of" if size == inf else f"up to {cfg.workers * size}"
            yield Finding(
                "database-connections",
                f"the pools of SQLAlchemy for {host or 'localhost'} may open {number} connections in all "
                "workers", _impact(database),
                f"Set pool_size and max_overflow so that each worker opens at most "
                f"{_share(database, cfg.workers)}, or raise the limit of the database")


def _capacity(pool: Any) -> float:
    """Return the most connections of a QueuePool."""
    size, overflow = pool.size(), pool._max_overflow
    return inf if size == 0 or overflow < 0 else size + overflow


def _share(database: Database, workers: int) -> int:
    """Return how many connections each of the *workers* may use, with some left for administration.

    During a reload there are twice as many workers.
    """
    return max(database.limit * 9 // 10 // (2 * workers), 1)


def _database(name: str) -> Database | None:
    return next((database for database in DATABASES if database.part in name), None)


def _impact(database: Database) -> str:
    return f"{database.name} accepts {database.limit} connections by default, and requests above its limit fail"
