"""psycopg 3 with its pool. A request waits in PostgreSQL, and gets its own number back: ``/?number``."""

import os

from psycopg_pool import ConnectionPool

POOL = ConnectionPool(f"host={os.environ['SERVER_DIRECTORY']} user=postgres", min_size=100, max_size=100, open=True)


def app(environ, start_response):
    with POOL.connection() as connection:
        number, _ = connection.execute("SELECT %s, pg_sleep(0.1)", [environ["QUERY_STRING"]]).fetchone()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [number.encode()]
