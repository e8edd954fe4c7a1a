"""Client libraries after 1,000 requests that were cancelled while they used them, with real servers.

The requests are cancelled while they send a command, wait for its reply, read it, or wait for a connection of a pool.
Then no reply may have reached another request, the pool has to lend all its connections, and no transaction may be
half committed. Requests that are not cancelled must not notice anything.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.client import Client
from support.databases import DatabaseServer, MariaDB, Missing, Postgres, Redis
from support.requirements import unavailable
from support.server import Server

pytestmark = [pytest.mark.servers, pytest.mark.only(transport="tcp", parser="fast"), pytest.mark.every_hub]

#: How many requests have to be cancelled.
CANCELLED = int(os.environ.get("TEST_CANCELLED", "1000"))
#: Clients at the same time: of requests that are cancelled, and of others.
VICTIMS, BYSTANDERS = 24, 4

DATABASES: dict[str, type[DatabaseServer]] = {"postgres": Postgres, "mariadb": MariaDB, "redis": Redis}


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[str], DatabaseServer]]:
    """Returns the running server of that name."""
    with ExitStack() as stack:
        running: dict[str, DatabaseServer] = {}

        def database(name: str) -> DatabaseServer:
            if name not in running:
                try:
                    running[name] = stack.enter_context(DATABASES[name]())
                except Missing as error:
                    unavailable(str(error))
            return running[name]

        yield database


@pytest.fixture
def cancel_requests(start: Callable[..., Server], serve: Callable[..., Server],
                    database: Callable[[str], DatabaseServer]) -> Callable[[str, str, list[str]], dict[str, Any]]:
    """Return a function that cancels requests with a class of apps/cancelled_clients.py, and says what is left."""

    def cancel_requests(library: str, upstream: str, modules: list[str], **settings: str) -> dict[str, Any]:
        for module in modules:
            pytest.importorskip(module)
        env = {"LIBRARY": library, "PSYCOPG_WAIT_FUNC": "wait_selector"}
        if upstream == "http":
            host, port = serve("cancelled_upstream:app").address
            env["UPSTREAM"] = f"http://{host}:{port}"
        else:
            env["SERVER_DIRECTORY"] = str(database(upstream).directory)
        server = start("cancelled:app", env=env,
                       settings={"request_timeout_action": "cancel", **settings})
        cancel(server)
        return server.ask("/examine")

    return cancel_requests


def cancel(server: Server) -> None:
    """Let clients request until enough requests were cancelled."""
    enough = threading.Event()

    def ask(target: str) -> None:
        while not enough.is_set():
            client = Client.connect(server.address, 60)
            client.request(target)
            client.close()

    threads = [threading.Thread(target=ask, args=["/victim"]) for _ in range(VICTIMS)]
    threads += [threading.Thread(target=ask, args=["/bystander"]) for _ in range(BYSTANDERS)]
    for thread in threads:
        thread.start()
    try:
        while True:
            state = server.ask("/state")
            if state["failed"] or state["cancelled"] >= CANCELLED:
                break
            enough.wait(0.2)
    finally:
        enough.set()
        for thread in threads:
            thread.join(60)


#: class of apps/cancelled_clients.py: its server, and the modules that it needs
SURVIVE = {
    "Redis": ("redis", ["redis"]),
    "Psycopg": ("postgres", ["psycopg"]),
    "Psycopg2": ("postgres", ["psycopg2"]),
    "PyMySQL": ("mariadb", ["pymysql"]),
    "PyMySQLClosed": ("mariadb", ["pymysql"]),
    "SqlAlchemyPsycopg": ("postgres", ["sqlalchemy", "psycopg"]),
    "SqlAlchemyPsycopg2": ("postgres", ["sqlalchemy", "psycopg2"]),
    "SqlAlchemyPyMySQL": ("mariadb", ["sqlalchemy", "pymysql"]),
    "Urllib3": ("http", ["urllib3"]),
    "Requests": ("http", ["requests"]),
    "HttpxUnlimited": ("http", ["httpx"]),
}
FAIL = {
    "PsycopgPool": ("postgres", ["psycopg_pool"]),
    "Psycopg2Pool": ("postgres", ["psycopg2"]),
    "PyMySQLKept": ("mariadb", ["pymysql"]),
    "Urllib3Blocking": ("http", ["urllib3"]),
    "RequestsBlocking": ("http", ["requests"]),
    "Httpx": ("http", ["httpx"]),
}


@pytest.mark.parametrize("library", SURVIVE)
def test_library_survives_cancelled_requests(cancel_requests, library):
    upstream, modules = SURVIVE[library]
    settings = {"psycopg2": "wait"} if "psycopg2" in modules else {}
    result = cancel_requests(library, upstream, modules, **settings)
    print(json.dumps(result, indent=1))
    assert result["cancelled"] >= CANCELLED
    assert result["wrong"] == result["halves"] == result["failed"] == result["ignored"] == 0, result
    assert result["lent"] == result["size"]


@pytest.mark.parametrize("library", FAIL)
def test_library_does_not_survive_cancelled_requests(cancel_requests, library):
    upstream, modules = FAIL[library]
    settings = {"psycopg2": "wait"} if "psycopg2" in modules else {}
    result = cancel_requests(library, upstream, modules, **settings)
    print(json.dumps(result, indent=1))
    assert result["wrong"] or result["failed"] or result["lent"] < result["size"]
