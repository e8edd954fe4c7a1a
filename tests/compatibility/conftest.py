"""What the tests of libraries share. Each test here has the mark ``servers`` and runs on each hub, over TCP.

A test names the libraries that it is about::

    @pytest.mark.library("psycopg", "psycopg-pool", area="Databases", note="On eventlet set ...")
    def test_queries_wait_on_the_hub(...):
        \"\"\"200 requests that each wait 100 ms in PostgreSQL finish in less than a second.\"\"\"

The names are those of distributions. The first one names the row in the table of ``python -m tests.compatibility``,
which has the first line of the docstring. The test is skipped if one of them is not installed. ``works=False`` says
that the test shows a library that does not work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import pytest

from compatibility.results import RecordResults, describe, missing
from support.databases import DatabaseServer, MariaDB, Postgres, Redis
from support.http_sink import HttpSink
from support.paths import APPS, LIBRARY_APPS, ROOT
from support.program import Program
from support.requirements import unavailable
from support.server import Server

DATABASES: dict[str, type[DatabaseServer]] = {"postgres": Postgres, "mariadb": MariaDB, "redis": Redis}


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(RecordResults(os.environ.get("TEST_RESULTS", "")))


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makemodule() -> Generator[None, pytest.Module, pytest.Module]:
    module = yield
    module.add_marker(pytest.mark.servers)
    module.add_marker(pytest.mark.every_hub)
    module.add_marker(pytest.mark.only(transport="tcp", parser="fast"))
    return module


@pytest.fixture(autouse=True)
def _libraries(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    described = describe(request.node)
    if described is None:
        return
    record_property("library", asdict(described))
    absent = missing(described.libraries)
    if absent:
        unavailable(f"{', '.join(absent)} is not installed: pip install -e '.[compatibility]'")


@pytest.fixture(scope="session")
def database() -> Iterator[Callable[[str], DatabaseServer]]:
    """``database("postgres")``: the running server of that name, which later tests share."""
    with ExitStack() as stack:
        running: dict[str, DatabaseServer] = {}

        def database(name: str) -> DatabaseServer:
            if name not in running:
                running[name] = stack.enter_context(DATABASES[name]())
            return running[name]

        yield database


@pytest.fixture
def library_app(start: Callable[..., Server]) -> Callable[..., Server]:
    """``library_app("falcon_api:app")``: a server of the test's own with an application in apps/ here or in an example.

    By name, besides what ``start`` takes: ``example``, a directory in examples/.
    """

    def library_app(app: str, *options: object, example: str = "", env: dict[str, str] | None = None,
                    **more: Any) -> Server:
        directory = ROOT / "examples" / example if example else LIBRARY_APPS
        path = os.pathsep.join(map(str, [directory, LIBRARY_APPS, APPS]))
        return start(app, *options, env={"PYTHONPATH": path, **(env or {})}, **more)

    return library_app


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Program]]:
    """``program("celery", "-A", "celery_app", "worker", env={...})``: a process that the test ends with.

    It finds the modules in apps/ here. See :class:`support.program.Program`.
    """
    started = []

    def program(*words: str, env: dict[str, str] | None = None) -> Program:
        started.append(Program(tmp_path_factory.mktemp("program"), *words,
                               env={"PYTHONPATH": str(LIBRARY_APPS), **(env or {})}))
        return started[-1]

    yield program
    for each in started:
        each.stop()


@pytest.fixture
def http_sink() -> Iterator[HttpSink]:
    """A server that keeps what clients of a monitoring service send."""
    with HttpSink() as sink:
        yield sink
