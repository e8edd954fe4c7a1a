"""Bottle: the routes that the tests of small frameworks use. ``request`` and ``response`` are thread-local."""

import hashlib
import time

from bottle import Bottle, request, response

app = Bottle()


@app.get("/items/<number>")
def item(number):
    response.content_type = "text/plain"
    time.sleep(float(request.query.get("wait", 0)))
    return f"{number} {request.get_header('X-Number')}"


@app.post("/upload")
def upload():
    return hashlib.sha256(request.files["file"].file.read()).hexdigest()


@app.get("/stream")
def stream():
    response.content_type = "text/plain"
    for number in range(1000):
        yield f"{number}\n"
