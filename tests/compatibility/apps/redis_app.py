"""A request waits in Redis: ``/?seconds`` blocks on a list that stays empty."""

import os

import redis

POOL = redis.BlockingConnectionPool.from_url(f"unix://{os.environ['SERVER_SOCKET']}", max_connections=250, timeout=20)


def app(environ, start_response):
    connection = redis.Redis(connection_pool=POOL)
    found = connection.blpop("empty", timeout=float(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(found).encode()]
