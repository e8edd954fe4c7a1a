"""The server that HTTP clients ask. It reads the body of a request late, and returns it in two parts."""

from __future__ import annotations

import time

from app_support import route_by_name


def echo(environ, start_response):
    """/echo?SECONDS"""
    seconds = float(environ["QUERY_STRING"])
    time.sleep(seconds / 3)
    body = environ["wsgi.input"].read()
    time.sleep(seconds / 3)
    write = start_response("200 OK", [("Content-Type", "text/plain; charset=ascii"),
                                       ("Content-Length", str(len(body)))])
    write(body[:len(body) // 2])
    time.sleep(seconds / 3)
    return [body[len(body) // 2:]]


app = route_by_name(globals())
