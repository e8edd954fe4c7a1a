"""Database connections that belong to request greenlets end with them."""

from __future__ import annotations

import pytest

from support.burst import burst
from support.waiting import until


def start_django(library_app, database, app, **settings):
    return library_app(app, settings=settings, env={"DATABASE_DIRECTORY": str(database("postgres").directory),
                                                    "PSYCOPG_WAIT_FUNC": "wait_selector"})


@pytest.mark.parametrize("greenlets", ["reused", "fresh"])
@pytest.mark.library("django", "psycopg", area="Web frameworks")
def test_persistent_connections_of_django_end_with_their_greenlets(library_app, database, greenlets):
    """With `CONN_MAX_AGE`, PostgreSQL has no more connections than there are request greenlets."""
    server = start_django(library_app, database, "django_connections:app", request_greenlets=greenlets)

    def number(path):
        return int(server.connect().request(path).body)

    assert {response.body for response in burst(server, ["/wait"] * 60).responses} == {b"1"}
    if greenlets == "reused":
        assert number("/connections") == number("/greenlets") == 60
        for _ in range(2):
            assert server.connect().request("/trim").status == 200
    # A process of PostgreSQL ends a moment after its connection.
    until(lambda: number("/connections") <= number("/greenlets") < 10, "connections have ended")


@pytest.mark.library("django", "psycopg", area="Web frameworks")
def test_connections_of_the_load_are_closed(library_app, database):
    """A connection that the application opens while it is loaded is closed before the first request."""
    server = start_django(library_app, database, "django_queries_at_load:app")
    # The connections of earlier tests end a moment later.
    until(lambda: server.connect().request("/connections").body == b"1", "no connection besides that of the request")
