"""Background work once per cluster, and the example in examples/background."""

from __future__ import annotations

import re

import pytest

from support.paths import ROOT
from support.waiting import until


def slots(*servers):
    return [int(line.split()[1]) for server in servers for line in server.log("^job ", since=0)]


def connected(url):
    """A connection to PostgreSQL, or None while it starts."""
    import psycopg

    try:
        return psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError:
        return None


def assert_once_per_cluster(library_app, env):
    """Of two servers, one runs the job in each period. When one of them stops, the other one runs it."""
    servers = [library_app("once_per_cluster:app", example="background", env=env, workers=2) for _ in range(2)]
    until(lambda: len(slots(*servers)) >= 4, "four runs")
    servers[0].stop()
    stopped = max(slots(*servers))
    until(lambda: max(slots(*servers)) >= stopped + 3, "runs in the other server")
    found = sorted(slots(*servers))
    assert len(set(found)) == len(found), found
    assert found == list(range(found[0], found[-1] + 1))


@pytest.mark.library("redis", area="Databases")
def test_redis_decides_which_server_runs_a_timer(library_app, database):
    """Two servers with a timer and `SET NX`: each period has one run."""
    assert_once_per_cluster(library_app, {"ONCE": "once_redis", "REDIS_URL": f"unix://{database('redis').socket}"})


@pytest.mark.library("psycopg", area="Databases")
def test_postgresql_decides_which_server_runs_a_timer(library_app, database, hub):
    """Two servers with a timer and an advisory lock: each period has one run."""
    url = f"host={database('postgres').directory} user=postgres"
    with until(lambda: connected(url), "a connection") as connection:
        connection.execute("DROP TABLE IF EXISTS background_run")
        documentation = (ROOT / "examples/background/once_postgresql.py").read_text()
        connection.execute(re.search(r"CREATE TABLE .*", documentation)[0])
    env = {"ONCE": "once_postgresql", "DATABASE_URL": url}
    if hub == "eventlet":
        env["PSYCOPG_WAIT_FUNC"] = "wait_selector"
    assert_once_per_cluster(library_app, env)


@pytest.mark.library("watchfiles", "cronsim", area="Background work")
def test_example_works_in_the_background(library_app, tmp_path):
    """Prices are loaded after their file has changed, in every worker, and an order is confirmed after its response."""
    prices = tmp_path / "prices.txt"
    server = library_app("shop:app", example="background", env={"PRICES": str(prices)}, workers=2)

    def all_loaded():
        # A worker watches the file shortly after it is ready.
        prices.with_suffix(".new").write_text("apple 3\n")
        prices.with_suffix(".new").replace(prices)
        return len({line.split()[1] for line in server.log("has loaded 1 prices")}) == 2

    until(all_loaded, "both workers have loaded the prices")
    assert server.connect().request("/orders", method="POST", headers=["Content-Length: 5"], body=b"apple").text == (
        "ordered: apple\n")
    server.wait_for_log("the order of apple is confirmed")
    assert {server.connect().request().text for _ in range(20)} == {"apple: price 3, ordered 1 times\n"}
