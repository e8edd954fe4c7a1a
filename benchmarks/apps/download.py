"""Responds with 1 MiB in one piece."""

BODY = bytes(range(256)) * 4096


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(BODY)))])
    return [BODY]
