"""SQLAlchemy with the drivers that can wait on the hub."""

from __future__ import annotations

import pytest

from support.burst import burst, burst_within
from support.startup import findings

#: For each driver: the database, its URL, and its function that waits.
DATABASES = {
    "psycopg": ("postgres", "postgresql+psycopg://postgres@/postgres?host={0.directory}&application_name=pool",
                "pg_sleep"),
    "psycopg2": ("postgres", "postgresql+psycopg2://postgres@/postgres?host={0.directory}", "pg_sleep"),
    "pymysql": ("mariadb", "mysql+pymysql://root@/test?unix_socket={0.socket}&ssl_disabled=true", "SLEEP"),
}


@pytest.fixture
def pooled(library_app, database):
    """``pooled("psycopg", size)``: a server whose requests share a pool of *size* connections of that driver."""

    def pooled(driver, size):
        name, url, sleep = DATABASES[driver]
        env = {"DATABASE_URL": url.format(database(name)), "POOL_SIZE": str(size), "SLEEP": sleep,
               "PSYCOPG_WAIT_FUNC": "wait_selector"}
        return library_app("sqlalchemy_app:app", "--worker-connections", 1100, env=env,
                           settings={"psycopg2": "wait"} if driver == "psycopg2" else {})

    return pooled


@pytest.mark.library("sqlalchemy", "psycopg", "psycopg2-binary", "pymysql", area="Databases",
                     note="Each driver needs what its own row says.")
@pytest.mark.parametrize("driver", DATABASES)
def test_drivers_wait_on_the_hub(pooled, driver):
    """200 requests that each wait 100 ms in PostgreSQL or MariaDB finish in less than a second, with each driver."""
    server = pooled(driver, 100)
    numbers = range(200)
    assert burst_within(server, [f"/sleep?{number}" for number in numbers], 1) == [str(number) for number in numbers]
    assert findings(server) == []


@pytest.mark.library("sqlalchemy", "psycopg", area="Databases")
def test_many_clients_share_a_small_pool(pooled):
    """1,000 concurrent requests share a pool of 20 connections: all succeed, and the database has 20 at most."""
    responses = burst(pooled("psycopg", 20), ["/count"] * 1000).responses
    assert {response.status for response in responses} == {200}
    assert max(int(response.text) for response in responses) <= 20
