"""The application of the deployments: a page, an upload, server-sent events and a WebSocket."""

from __future__ import annotations

import time
from collections.abc import Iterator

from flask import Flask, Response, request
from flask_sock import Server, Sock

app = Flask(__name__)
sock = Sock(app)


@app.get("/")
def index() -> str:
    return f"{request.scheme}://{request.host}{request.path} requested by {request.remote_addr}\n"


@app.post("/upload")
def upload() -> str:
    size = 0
    while part := request.stream.read(65536):
        size += len(part)
    return f"{size}\n"


@app.get("/events")
def events() -> Response:
    def stream() -> Iterator[str]:
        number = 0
        while True:
            yield f"data: {number}\n\n"
            number += 1
            time.sleep(1)

    return Response(stream(), mimetype="text/event-stream")


@sock.route("/echo")
def echo(socket: Server) -> None:
    while True:
        socket.send(socket.receive())
