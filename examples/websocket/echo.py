"""WebSockets with flask-sock: an echo, and a message to all clients of this worker."""

from __future__ import annotations

import os

from flask import Flask
from flask_sock import ConnectionClosed, Server, Sock

app = Flask(__name__)
# A client that does not respond to a ping within this time is disconnected. Proxies close silent connections, too.
app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": float(os.environ.get("PING_INTERVAL", 25)),
                                     "max_message_size": 1024 * 1024}
sock = Sock(app)

#: The clients of this worker. Each one has a greenlet.
connected: set[Server] = set()


@app.get("/")
def index() -> str:
    return f"{len(connected)} clients. Connect a WebSocket to /echo.\n"


@sock.route("/echo")
def echo(ws: Server) -> None:
    """Return each message; "bye" ends the connection, and "all: ..." is sent to all clients."""
    connected.add(ws)
    try:
        while (message := ws.receive()) != "bye":
            if isinstance(message, str) and message.startswith("all: "):
                send_to_all(message)
            else:
                ws.send(message)
        ws.close(1000, "bye")
    finally:
        connected.discard(ws)


def send_to_all(message: str) -> None:
    for client in list(connected):
        try:
            client.send(message)
        except ConnectionClosed:
            pass
