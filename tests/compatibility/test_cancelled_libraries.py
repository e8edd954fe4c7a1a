"""Client libraries after 1,000 requests that were cancelled while they used them, with real servers.

Requests are cancelled while they send a command, wait for its reply, read it, or wait for a connection. A library
survives this if no reply reaches another request, no request fails that was not cancelled, the pool still lends all
its connections, and no transaction is half committed. docs/cancellation.md has the results.

TEST_CANCELLED is another number than 1,000. ``pytest -m servers -rP`` prints what was counted.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest

from support.client import Client, request
from support.databases import DatabaseServer
from support.memory import resident
from support.paths import ROOT
from support.requirements import unavailable
from support.server import Server
from support.waiting import WAIT_LIMIT

#: How many requests have to be cancelled.
CANCELLED = int(os.environ.get("TEST_CANCELLED", "1000"))
#: Clients at the same time: of requests that are cancelled, and of others.
VICTIMS, BYSTANDERS = 40, 4


class Case(NamedTuple):
    """One library, and one way to use it.

    Attributes:
        use: a class in tests/apps.
        row: the first column of its row in docs/cancellation.md.
        server: a database, or "http".
        modules: what has to be installed.
        hub: the only hub on which it fails; empty for both.
    """

    use: str
    row: str
    server: str
    modules: tuple[str, ...]
    hub: str = ""


SURVIVE = [
    Case("cancelled_databases:Redis", "redis-py, `BlockingConnectionPool`", "redis", ("redis",)),
    Case("cancelled_databases:Psycopg", "psycopg 3, one connection per request", "postgres", ("psycopg",)),
    Case("cancelled_databases:Psycopg2", "psycopg2, one connection per request", "postgres", ("psycopg2",)),
    Case("cancelled_databases:SqlAlchemyPsycopg", "SQLAlchemy's pool with psycopg 3", "postgres",
         ("sqlalchemy", "psycopg")),
    Case("cancelled_databases:SqlAlchemyPsycopg2", "SQLAlchemy's pool with psycopg2", "postgres",
         ("sqlalchemy", "psycopg2")),
    Case("cancelled_databases:RawPsycopg", "SQLAlchemy's pool, `raw_connection()` with psycopg 3", "postgres",
         ("sqlalchemy", "psycopg")),
    Case("cancelled_databases:RawPsycopg2", "SQLAlchemy's pool, `raw_connection()` with psycopg2", "postgres",
         ("sqlalchemy", "psycopg2")),
    Case("cancelled_databases:SqlAlchemyPyMySQL", "SQLAlchemy's pool with PyMySQL", "mariadb",
         ("sqlalchemy", "pymysql")),
    Case("cancelled_databases:PyMySQL", "PyMySQL, one connection per request", "mariadb", ("pymysql",)),
    Case("cancelled_databases:PyMySQLClosed", "PyMySQL, kept connections, closed after a `BaseException`", "mariadb",
         ("pymysql",)),
    Case("cancelled_http:Urllib3", "urllib3, `block=False` (the default)", "http", ("urllib3",)),
    Case("cancelled_http:Requests", "requests, `pool_block=False` (the default)", "http", ("requests",)),
    Case("cancelled_http:HttpxUnlimited", "httpx, `Limits(max_connections=None)`", "http", ("httpx",)),
    Case("cancelled_semaphores:HubSemaphore", "the `BoundedSemaphore` of `gevent.lock` or `eventlet.semaphore`", "",
         ()),
]
FAIL = [
    Case("cancelled_databases:PsycopgPool", "psycopg 3, `psycopg_pool.ConnectionPool`", "postgres", ("psycopg_pool",)),
    Case("cancelled_databases:Psycopg2Pool", "psycopg2, `psycopg2.pool.ThreadedConnectionPool`", "postgres",
         ("psycopg2",)),
    Case("cancelled_databases:PyMySQLKept", "PyMySQL, kept connections", "mariadb", ("pymysql",)),
    Case("cancelled_http:Urllib3Blocking", "urllib3, `block=True`", "http", ("urllib3",)),
    Case("cancelled_http:RequestsBlocking", "requests, `pool_block=True`", "http", ("requests",)),
    Case("cancelled_http:Httpx", "httpx, a limit on connections (the default is 100)", "http", ("httpx",)),
    Case("cancelled_semaphores:ThreadingSemaphore", "`threading.Semaphore` and `BoundedSemaphore` on gevent", "", (),
         hub="gevent"),
]


def class_name(case: Case) -> str:
    return case.use.partition(":")[2]


@pytest.fixture
def server_of(hub: str, start: Callable[..., Server], serve: Callable[..., Server],
              database: Callable[[str], DatabaseServer]) -> Callable[..., Server]:
    """Return a function that starts a server whose requests use the library of a case, and can be cancelled."""

    def server_of(case: Case, commands: str = "little much transaction") -> Server:
        for module in case.modules:
            if find_spec(module) is None:
                unavailable(f"{module} is not installed: pip install -e '.[compatibility]'")
        # psycopg 3 waits in C on eventlet otherwise.
        env = {"LIBRARY": case.use, "COMMANDS": commands, "HUB": hub, "PSYCOPG_WAIT_FUNC": "wait_selector",
               "PATIENCE": "5" if case in FAIL else str(WAIT_LIMIT)}
        if case.server == "http":
            env["UPSTREAM"] = "http://{}:{}".format(*serve("cancelled_upstream:app").address)
        elif case.server:
            env["SERVER_DIRECTORY"] = str(database(case.server).directory)
        settings = {"request_timeout_action": "cancel", "on_client_gone": "cancel", "silence": "cancel-unsafe"}
        if "psycopg2" in case.modules:
            settings["psycopg2"] = "wait"
        return start("cancelled:app", env=env, settings=settings)

    return server_of


def time_out(client: Client) -> None:
    """Send a request, which is cancelled after a random time."""
    client.request("/victim")


def leave(client: Client) -> None:
    """Send a request, and leave after a random time."""
    client.send(request("/left"))
    time.sleep(random.uniform(0, 0.3))


def stay(client: Client) -> None:
    """Send a request that is not cancelled."""
    client.request("/bystander")


def cancel(server: Server, count: int, *, victim: Callable[[Client], None] = time_out,
           stop_if_failed: bool = False) -> dict[str, Any]:
    """Let clients request until so many requests were cancelled; return what is left, and print it."""
    enough = threading.Event()

    def ask(once: Callable[[Client], None]) -> None:
        while not enough.is_set():
            client = Client.connect(server.address, 60)
            once(client)
            client.close()

    threads = [threading.Thread(target=ask, args=[victim]) for _ in range(VICTIMS)]
    threads += [threading.Thread(target=ask, args=[stay]) for _ in range(BYSTANDERS)]
    for thread in threads:
        thread.start()
    try:
        state = server.ask("/state")
        while state["cancelled"] < count and not (stop_if_failed and state["failed"]):
            enough.wait(0.2)
            state = server.ask("/state")
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)
    result = server.ask("/examine")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return result


def assert_intact(result: dict[str, Any]) -> None:
    counts = {name: result[name] for name in ("wrong", "failed", "ignored", "mixed", "halves")}
    assert not any(counts.values()), result
    assert result["lent"] == result["size"]


@pytest.mark.parametrize("case", SURVIVE, ids=class_name)
def test_library_survives_cancelled_requests(server_of, case):
    result = cancel(server_of(case), CANCELLED)
    assert_intact(result)
    # Both were tried.
    assert not case.server or {"sending", "reading"} <= {place.partition(": ")[2] for place in result["places"]}


@pytest.mark.parametrize("case", FAIL, ids=class_name)
def test_library_fails_after_cancelled_requests(hub, server_of, case):
    """As docs/cancellation.md says. If a new release survives, its row moves."""
    if case.hub not in ("", hub):
        pytest.skip(f"it fails on {case.hub} only")
    result = cancel(server_of(case), CANCELLED, stop_if_failed=True)
    assert result["wrong"] or result["failed"] or result["lent"] < result["size"]


def test_library_survives_that_clients_leave(server_of):
    """``on_client_gone`` cancels requests in the same way."""
    assert_intact(cancel(server_of(SURVIVE[0]), CANCELLED, victim=leave))


def test_many_cancelled_requests_leave_nothing_behind(server_of):
    """Contexts, thread-locals, the pool and the memory are as before.

    Large values would let the memory grow for a while, because the allocator keeps pieces of it.
    """
    server = server_of(SURVIVE[0], commands="little")
    pid, = server.worker_pids()
    cancel(server, CANCELLED)
    before = resident(pid)
    result = cancel(server, 5 * CANCELLED)
    assert_intact(result)
    assert resident(pid) - before < 4 * 1024 * 1024
    assert server.worker_pids() == [pid]


@pytest.mark.only(hub="gevent")
@pytest.mark.parametrize(("cases", "verdict"), [(SURVIVE, "yes"), (FAIL, "**no**")], ids=["survive", "fail"])
def test_documentation_has_the_results(hub, cases, verdict):
    page = (ROOT / "docs" / "cancellation.md").read_text()
    rows = re.findall(r"^\| (.+?) \| .+? \| (yes|\*\*no\*\*) \|", page, re.MULTILINE)
    assert [row for row, survives in rows if survives == verdict] == [case.row for case in cases]
