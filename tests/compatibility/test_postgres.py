"""psycopg 3, psycopg2 and asyncpg with PostgreSQL."""

from __future__ import annotations

import pytest

from support.burst import burst_within
from support.startup import findings

NUMBERS = [str(number) for number in range(200)]
TARGETS = [f"/?{number}" for number in NUMBERS]


@pytest.mark.library("psycopg", "psycopg-pool", area="Databases",
                     note="On eventlet set `PSYCOPG_WAIT_FUNC=wait_selector` in the environment.")
def test_psycopg_waits_on_the_hub(library_app, database, hub):
    """200 requests that each wait 100 ms in PostgreSQL finish in less than a second, with a pool of 100 connections."""
    env = {"SERVER_DIRECTORY": str(database("postgres").directory)}
    if hub == "eventlet":
        env["PSYCOPG_WAIT_FUNC"] = "wait_selector"
    server = library_app("psycopg_app:app", env=env)
    assert burst_within(server, TARGETS, 1) == NUMBERS
    assert findings(server) == []


@pytest.mark.library("psycopg2-binary", area="Databases",
                     note='On gevent use the setting [`psycopg2="wait"`](settings.md). The worker warns without it.')
def test_psycopg2_waits_on_the_hub(library_app, database, hub):
    """200 requests that each wait 100 ms in PostgreSQL finish in less than a second, with 100 connections."""
    server = library_app("psycopg2_app:app", env={"SERVER_DIRECTORY": str(database("postgres").directory)},
                         settings={"psycopg2": "wait"} if hub == "gevent" else {})
    assert burst_within(server, TARGETS, 1) == NUMBERS
    assert findings(server) == []


@pytest.mark.library("asyncpg", area="Databases", note="Call it with [`gworkers.run_async`](asyncio.md).")
def test_asyncpg_runs_in_the_loop_of_the_worker(library_app, database):
    """200 requests that each wait 100 ms in PostgreSQL finish in less than a second, with a pool of 100 connections."""
    server = library_app("asyncpg_app:app", env={"SERVER_DIRECTORY": str(database("postgres").directory)})
    assert burst_within(server, TARGETS, 1) == NUMBERS
    assert findings(server) == []
