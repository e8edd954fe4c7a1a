"""Async views of Flask and Django, and asyncio libraries in requests."""

from __future__ import annotations

import json

import pytest

from support.burst import burst
from support.startup import findings

ON = {"asyncio_thread": True}


@pytest.mark.library("flask", "asgiref", area="Web frameworks")
def test_async_views_of_flask_run_at_the_same_time(library_app):
    """200 requests to an async view that waits 100 ms, at the same time, with `asyncio_thread`."""
    server = library_app("flask_async:app", settings=ON)
    result = burst(server, ["/"] * 200)
    assert {(response.status, response.body) for response in result.responses} == {(200, b"waited")}
    assert result.seconds < 10  # one after another: 20 s
    assert findings(server) == []


@pytest.mark.library("flask", "asgiref", area="Web frameworks")
def test_async_views_of_flask_are_reported(library_app):
    """Async views are reported at start if `asyncio_thread` is off."""
    server = library_app("flask_async:app")
    server.wait_for_log(r"Flask has async views \(flask_async\.wait\): .*Set GWORKERS_ASYNCIO_THREAD=1", since=0)
    assert findings(server) == ["asyncio-conflict"]


@pytest.fixture
def django(library_app, database):
    """Returns a server with an async Django application on PostgreSQL."""
    def django(**settings):
        return library_app("django_async:app", settings=settings,
                           env={"DATABASE_DIRECTORY": str(database("postgres").directory)})

    return django


@pytest.mark.library("django", "asgiref", "psycopg", area="Web frameworks")
def test_async_views_of_django_run_at_the_same_time(django):
    """200 requests to an async view that waits 100 ms, at the same time, with `asyncio_thread`."""
    server = django(**ON)
    result = burst(server, ["/wait"] * 200)
    assert {(response.status, response.body) for response in result.responses} == {(200, b"waited")}
    assert result.seconds < 10  # one after another: 20 s
    assert findings(server) == []


@pytest.mark.library("django", "asgiref", "psycopg", area="Web frameworks")
def test_async_queries_of_django_use_the_connection_of_the_request(django):
    """The asynchronous ORM uses the database connection of the request, which is closed at its end."""
    server = django(**ON)
    result = burst(server, ["/query"] * 60)
    found = [json.loads(response.body) for response in result.responses]
    # Of the synchronous middleware, of two methods of the ORM, and of a task.
    assert all(len(set(pids)) == 1 for pids in found), found
    # Of requests at the same time.
    assert len({pids[0] for pids in found}) > 1
    assert json.loads(server.connect().request("/connections").body) == 1


@pytest.mark.library("django", "asgiref", "psycopg", area="Web frameworks")
def test_async_views_of_django_are_reported(django):
    """Async views are reported at start if `asyncio_thread` is off."""
    server = django()
    server.wait_for_log(r"Django has async views \(.*django_async\.wait.*\): .*Set GWORKERS_ASYNCIO_THREAD=1", since=0)
    assert findings(server) == ["asyncio-conflict"]


@pytest.mark.library("django", "asgiref", "psycopg", area="Web frameworks")
def test_async_views_of_django_are_cancelled(django):
    """An async view is cancelled with its request, and its `finally` blocks may use the ORM."""
    server = django(request_timeout=0.5, request_timeout_action="cancel", **ON)
    assert {response.status for response in burst(server, ["/cancelled"] * 20).responses} == {504}
    server.wait_for_log("^cancelled 20$")
    assert server.connect().request("/wait").body == b"waited"


CLIENTS = [
    pytest.param("asyncpg_pool", marks=pytest.mark.library("asyncpg", area="Databases")),
    pytest.param("psycopg_pool", marks=pytest.mark.library("psycopg", "psycopg-pool", area="Databases")),
    pytest.param("sqlalchemy_asyncpg", marks=pytest.mark.library("sqlalchemy", "asyncpg", area="Databases")),
    pytest.param("sqlalchemy_psycopg", marks=pytest.mark.library("sqlalchemy", "psycopg", area="Databases")),
]


@pytest.mark.parametrize("use", CLIENTS)
def test_an_async_pool_serves_all_requests(library_app, database, use):
    """With `gworkers.run_async`: one pool of 20 asynchronous connections serves 200 requests at the same time."""
    server = library_app("async_pools:app", env={"DATABASE_DIRECTORY": str(database("postgres").directory)})
    for _ in range(2):
        result = burst(server, [f"/{use}?{number}" for number in range(200)])
        assert [response.body for response in result.responses] == [b"%d" % number for number in range(200)]
    assert 1 <= int(server.connect().request("/connections").body) <= 20


@pytest.mark.parametrize("use", CLIENTS)
def test_an_async_pool_survives_cancelled_requests(library_app, database, use):
    """With `gworkers.run_async`: a pool of asynchronous connections is intact after 200 cancelled requests."""
    server = library_app("async_pools:app", settings={"request_timeout_action": "cancel"},
                         env={"DATABASE_DIRECTORY": str(database("postgres").directory)})
    for _ in range(4):
        # Those that wait for the reply of the server, and those that wait for a connection of the pool.
        result = burst(server, [f"/{use}?{number}&10" for number in range(50)])
        assert {response.status for response in result.responses} == {504}
    result = burst(server, [f"/{use}?{number}" for number in range(20)])
    assert [response.body for response in result.responses] == [b"%d" % number for number in range(20)]
    assert server.log("Traceback") == []
