"""Drivers that wait in C, where no patch reaches: while one waits for its server, no other request is served."""
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from gworkers.findings import Finding


@dataclass(frozen=True)
class Driver:
    """One that blocks the hub, unless *tamed* says that it does not as it is set up here."""

    package: str
    fix: Mapping[str, str]
    tamed: Callable[[Any, str], bool] = lambda module, library: False


def _psycopg2(module: Any, library: str) -> bool:
    extensions = sys.modules.get("psycopg2.extensions")
    return extensions is not None and extensions.get_wait_callback() is not None


def _psycopg(module: Any, library: str) -> bool:
    # It knows gevent's patch, and eventlet's not: there it waits in C, if it has been installed with its C part.
    return library == "gevent" or isinstance(sys.modules["psycopg.waiting"].wait, FunctionType)


def _grpc(module: Any, library: str) -> bool:
    cygrpc = sys.modules.get("grpc._cython.cygrpc")
    return library == "gevent" and bool(getattr(cygrpc, "g_gevent_activated", False))


def _oracledb(module: Any, library: str) -> bool:
    return bool(module.is_thin_mode())


def _mysql(module: Any, library: str) -> bool:
    # Without its extension it is pure Python.
    return "_mysql_connector" not in sys.modules


def _pymssql(module: Any, library: str) -> bool:
    return sys.modules["pymssql._mssql"].wait_callback is not None


def _zmq(module: Any, library: str) -> bool:
    return {"gevent": "zmq.green", "eventlet": "eventlet.green.zmq"}[library] in sys.modules


def _same(text: str) -> dict[str, str]:
    return {"gevent": text, "eventlet": text}


DRIVERS = (
    Driver("psycopg2", {
        library: f"Write from gworkers import {name}; worker_class = {name}.configure(psycopg2='wait') into "
                 "gunicorn.conf.py, or set GWORKERS_PSYCOPG2=wait in the environment, or move to psycopg 3"
        for library, name in (("gevent", "GeventWorker"), ("eventlet", "EventletWorker"))}, _psycopg2),
    Driver("psycopg", _same("Set PSYCOPG_WAIT_FUNC=wait_selector in the environment"), _psycopg),
    Driver("MySQLdb", _same("Use PyMySQL: pip install pymysql, then pymysql.install_as_MySQLdb()")),
    Driver("mysql.connector", _same("Connect with use_pure=True"), _mysql),
    Driver("grpc", {
        "gevent": "Set GWORKERS_POST_PATCH=grpc.experimental.gevent:init_gevent in the environment",
        "eventlet": "Move to gevent, where grpc.experimental.gevent.init_gevent() helps",
    }, _grpc),
    Driver("cx_Oracle", _same("Use oracledb in its thin mode: pip install oracledb")),
    Driver("oracledb", _same("Do not call oracledb.init_oracle_client(): thin mode is cooperative"), _oracledb),
    Driver("pyodbc", _same("Call it in a thread: gevent.get_hub().threadpool.apply, or eventlet.tpool.execute")),
    Driver("pymssql", _same("pymssql.set_wait_callback() can be given one that waits on the hub"), _pymssql),
    Driver("zmq", {
        "gevent": "Import zmq.green instead of zmq",
        "eventlet": "Import eventlet.green.zmq instead of zmq",
    }, _zmq),
)


def check(library: str, known: set[str]) -> list[Finding]:
    """Return what has been imported that blocks the hub of *library*.

    :param known: packages that have been told of already; those returned are added
    """
    found = []
    for driver in DRIVERS:
        module = sys.modules.get(driver.package)
        if module is None or driver.package in known:
            continue
        try:
            tamed = driver.tamed(module, library)
        except Exception:
            # A namesake, or its import is not complete.
            continue
        if not tamed:
            known.add(driver.package)
            found.append(Finding(
                "driver-blocks", f"{driver.package} waits for its server in C, where no patch reaches",
                "no other request of the worker is served meanwhile", driver.fix[library]))
    return found
