"""Waits 10 ms, as for a database: green servers patch the sleep, other servers need a thread for it."""

import time


def app(environ, start_response):
    time.sleep(0.010)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"done"]
