"""The server that HTTP clients ask: it returns the body of a request, in two parts, after some seconds."""

from __future__ import annotations

import time

from app_support import answer, route_by_name


def echo(environ, start_response):
    """/echo?SECONDS"""
    seconds = float(environ["QUERY_STRING"])
    body = environ["wsgi.input"].read()
    time.sleep(seconds / 2)
    write = start_response("200 OK", [("Content-Type", "text/plain; charset=ascii"), ("Content-Length", str(len(body)))])
    write(body[:len(body) // 2])
    time.sleep(seconds / 2)
    return [body[len(body) // 2:]]


app = route_by_name(globals())
