"""psycopg2 with 100 connections. A request waits in PostgreSQL, and gets its own number back: ``/?number``."""

import os
import queue

import psycopg2

POOL = queue.LifoQueue()
for _ in range(100):
    POOL.put(psycopg2.connect(host=os.environ["SERVER_DIRECTORY"], user="postgres"))


def app(environ, start_response):
    connection = POOL.get()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT %s, pg_sleep(0.1)", [environ["QUERY_STRING"]])
            number, _ = cursor.fetchone()
    finally:
        POOL.put(connection)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [number.encode()]
