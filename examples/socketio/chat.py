"""A chat with rooms, on Flask-SocketIO.

Socket.IO clients send the events ``join``, ``leave`` and ``say``, and receive ``joined``, ``left`` and ``said``.
"""

from __future__ import annotations

import os

from flask import Flask, request
from flask_socketio import SocketIO, emit, join_room, leave_room, rooms


def create_app(async_mode: str = "threading") -> Flask:
    """Return the application.

    :param async_mode: "threading" uses threads of the standard library, which are greenlets in a worker of gworkers,
        on gevent and on eventlet. Without a mode, Flask-SocketIO takes eventlet if it is installed, whatever the
        worker is.
    """
    app = Flask(__name__)
    # With several workers or servers, MESSAGE_QUEUE is the URL of the Redis that they share.
    socketio = SocketIO(app, async_mode=async_mode, message_queue=os.environ.get("MESSAGE_QUEUE"))

    @app.get("/")
    def index() -> str:
        return "Connect with a Socket.IO client.\n"

    @socketio.on("join")
    def join(room: str) -> int:
        """The value that a handler returns is the acknowledgement that the client receives."""
        join_room(room)
        emit("joined", request.sid, to=room, include_self=False)
        return len(rooms()) - 1

    @socketio.on("leave")
    def leave(room: str) -> None:
        leave_room(room)
        emit("left", request.sid, to=room)

    @socketio.on("say")
    def say(room: str, text: str) -> None:
        emit("said", {"from": request.sid, "text": text}, to=room)

    @socketio.on("disconnect")
    def disconnect(reason: str) -> None:
        """A client that has left is still in its rooms here. One of them has its own id as its name."""
        for room in rooms():
            emit("left", request.sid, to=room, include_self=False)

    return app
