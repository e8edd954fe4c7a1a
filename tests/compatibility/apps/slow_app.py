"""The server that traced_app.py calls. It waits 50 ms, and returns the header with the trace that it got."""

import time

from app_support import answer


def app(environ, start_response):
    time.sleep(0.05)
    return answer(start_response, environ.get("HTTP_TRACEPARENT", "").encode())
