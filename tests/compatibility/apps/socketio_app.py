"""Flask-SocketIO on gevent."""

from __future__ import annotations

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
SocketIO(app, async_mode="gevent")
