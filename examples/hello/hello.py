"""A Flask application with an app factory. The README has the command that starts it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Flask, Response


def create_app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def hello() -> str:
        return "Hello, world!\n"

    @app.get("/wait")
    def wait() -> str:
        # The worker has patched the standard library: other requests run in the meantime.
        time.sleep(1)
        return "It was worth it.\n"

    @app.get("/count")
    def count() -> Response:
        def numbers() -> Iterator[str]:
            for number in range(1, 4):
                yield f"{number}\n"
                time.sleep(0.1)

        return Response(numbers(), mimetype="text/plain")

    return app
