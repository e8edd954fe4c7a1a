"""Checks for database drivers that wait in C. A monkey patch cannot reach them, so they block the hub."""
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from gworkers.findings import Finding

#: The fix on a hub for which a driver names none.
OTHER_FIX = "Use a driver that is written in Python, if the hub patches sockets"


@dataclass(frozen=True)
class Driver:
    """A driver that blocks the hub unless it is set up to be cooperative."""

    package: str
    #: the fix for each hub, by the name of the hub
    fix: Mapping[str, str]
    #: returns whether the imported package is set up to be cooperative with the library
    is_cooperative: Callable[[Any, str], bool] = lambda module, library: False


def _psycopg2(module: Any, library: str) -> bool:
    extensions = sys.modules.get("psycopg2.extensions")
    return extensions is not None and extensions.get_wait_callback() is not None


def _psycopg(module: Any, library: str) -> bool:
    # psycopg detects gevent's patch, but not eventlet's. With eventlet it waits in C if its C extension is installed.
    return library == "gevent" or isinstance(sys.modules["psycopg.waiting"].wait, FunctionType)


def _grpc(module: Any, library: str) -> bool:
    cygrpc = sys.modules.get("grpc._cython.cygrpc")
    return library == "gevent" and bool(getattr(cygrpc, "g_gevent_activated", False))


def _oracledb(module: Any, library: str) -> bool:
    return bool(module.is_thin_mode())


def _mysql(module: Any, library: str) -> bool:
    # Without its C extension it is pure Python.
    return "_mysql_connector" not in sys.modules


def _pymssql(module: Any, library: str) -> bool:
    return sys.modules["pymssql._mssql"].wait_callback is not None


def _zmq(module: Any, library: str) -> bool:
    return {"gevent": "zmq.green", "eventlet": "eventlet.green.zmq"}[library] in sys.modules


def _for_all(text: str) -> dict[str, str]:
    return {"gevent": text, "eventlet": text}


DRIVERS = (
    Driver("psycopg2", {
        library: f"Add to gunicorn.conf.py: from gworkers import {name}; worker_class = "
                 f"{name}.configure(psycopg2='wait'). Or set GWORKERS_PSYCOPG2=wait in the environment. "
                 "Or use psycopg 3"
        for library, name in (("gevent", "GeventWorker"), ("eventlet", "EventletWorker"))}, _psycopg2),
    Driver("psycopg", _for_all("Set PSYCOPG_WAIT_FUNC=wait_selector in the environment"), _psycopg),
    Driver("MySQLdb", _for_all("Use PyMySQL: pip install pymysql, then pymysql.install_as_MySQLdb()")),
    Driver("mysql.connector", _for_all("Connect with use_pure=True"), _mysql),
    Driver("grpc", {
        "gevent": "Set GWORKERS_POST_PATCH=grpc.experimental.gevent:init_gevent in the environment",
        "eventlet": "Switch to gevent, which grpc.experimental.gevent.init_gevent() supports",
    }, _grpc),
    Driver("cx_Oracle", _for_all("Use oracledb in thin mode: pip install oracledb")),
    Driver("oracledb", _for_all("Do not call oracledb.init_oracle_client(): thin mode is cooperative"), _oracledb),
    Driver("pyodbc", _for_all("Call it in a thread: gevent.get_hub().threadpool.apply, or eventlet.tpool.execute")),
    Driver("pymssql", _for_all("Pass a function that waits on the hub to pymssql.set_wait_callback()"), _pymssql),
    Driver("zmq", {
        "gevent": "Import zmq.green instead of zmq",
        "eventlet": "Import eventlet.green.zmq instead of zmq",
    }, _zmq),
)


def check(library: str, reported: set[str]) -> list[Finding]:
    """Return a finding for each imported driver that blocks the hub of *library*.

    :param reported: packages that were reported before; new ones are added
    """
    found = []
    for driver in DRIVERS:
        module = sys.modules.get(driver.package)
        if module is None or driver.package in reported:
            continue
        try:
            cooperative = driver.is_cooperative(module, library)
        except Exception:
            # Another package of the same name, or its import is not complete.
            continue
        if not cooperative:
            reported.add(driver.package)
            found.append(Finding(
                "driver-blocks", f"{driver.package} waits for its server in C, which cannot be patched",
                "the worker serves no other request during this time", driver.fix.get(library, OTHER_FIX)))
    return found
