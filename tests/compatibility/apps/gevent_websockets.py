"""Applications for gevent-websocket, written as its README does, and one for simple-websocket next to it."""

from __future__ import annotations

import json
from typing import Any

from app_support import answer, route_by_name, say


def echo(environ: Any, start_response: Any) -> Any:
    """Return None, as an application may that only gevent-websocket's own server has called."""
    websocket = environ["wsgi.websocket"]
    while True:
        message = websocket.receive()
        if message is None or message == "stop":
            break
        websocket.send(message)
    say(f"websocket handler ended, closed={websocket.closed}")


def flask_like(environ: Any, start_response: Any) -> Any:
    """Return a response after the conversation, as a view of a framework does."""
    echo(environ, start_response)
    return answer(start_response, b"not sent")


def facts(environ: Any, start_response: Any) -> Any:
    websocket = environ["wsgi.websocket"]
    websocket.send(json.dumps([websocket.version, websocket.path, websocket.origin, websocket.protocol,
                               environ["wsgi.websocket_version"]]))
    return []


def broadcast(environ: Any, start_response: Any) -> Any:
    """Send each message to all clients, as the chat in the README does."""
    websocket = environ["wsgi.websocket"]
    assert websocket.handler.active_client.ws is not None
    while (message := websocket.receive()) is not None:
        for client in websocket.handler.server.clients.values():
            client.ws.send(message)


def failing(environ: Any, start_response: Any) -> Any:
    environ["wsgi.websocket"].receive()
    raise RuntimeError("this websocket handler fails")


def refused(environ: Any, start_response: Any) -> Any:
    return answer(start_response, b"no", "403 Forbidden" if "wsgi.websocket" in environ else "400 Bad Request")


app = route_by_name(globals())
