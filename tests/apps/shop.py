"""A Flask application with a lock that is created at import and held while a request waits."""

from __future__ import annotations

import threading
import time

from flask import Flask

app = Flask(__name__)
stock = threading.Lock()


@app.get("/")
def buy() -> str:
    with stock:
        time.sleep(0.1)
    return "bought"
