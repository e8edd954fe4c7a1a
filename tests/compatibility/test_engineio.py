"""python-engineio with a driver that fails in a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import path
from support.launch import importable
from support.requirements import unavailable
from support.server import Server
from support.startup import findings

Start = Callable[..., Server]

APP = """
import flask, flask_socketio
app = flask.Flask(__name__)
flask_socketio.SocketIO(app, async_mode={mode!r})
"""


@pytest.fixture
def start_chat(start: Start, tmp_path: Path) -> Start:
    if not importable("flask_socketio"):
        unavailable("Flask-SocketIO is not installed: pip install -e '.[compatibility]'")

    def start_chat(mode: str) -> Server:
        (tmp_path / "chat.py").write_text(APP.format(mode=mode))
        return start("chat:app", env={"PYTHONPATH": path(tmp_path)})

    return start_chat


def test_mode_of_the_hub_is_not_reported(start_chat: Start, hub: str) -> None:
    for mode in (hub, "threading"):
        assert findings(start_chat(mode)) == []


def test_mode_of_the_other_hub_is_reported(start_chat: Start, hub: str) -> None:
    other = {"gevent": "eventlet", "eventlet": "gevent"}[hub]
    assert findings(start_chat(other)) == ["engineio-driver"]
