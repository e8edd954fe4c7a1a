"""PyMySQL with 100 connections. A request waits in MariaDB, and gets its own number back: ``/?number``."""

import os
import queue

import pymysql

POOL = queue.LifoQueue()
for _ in range(100):
    POOL.put(pymysql.connect(unix_socket=os.environ["SERVER_SOCKET"], user="root", database="test", ssl_disabled=True))


def app(environ, start_response):
    connection = POOL.get()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s, SLEEP(0.1)", [environ["QUERY_STRING"]])
            number, _ = cursor.fetchone()
    finally:
        POOL.put(connection)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [number.encode()]
