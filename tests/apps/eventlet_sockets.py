"""The WebSocket server of eventlet, which sets ``WSGI_LOCAL.already_handled`` after a takeover."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app_support import answer, say
from eventlet.websocket import WebSocketWSGI


def converse(ws: Any) -> None:
    while True:
        message = ws.wait()
        if message in (None, "stop"):
            break
        ws.send(message)
    say("websocket handler ended")


websocket = WebSocketWSGI(converse)


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/say":
        say(environ["QUERY_STRING"])
    elif environ["PATH_INFO"] == "/echo":
        return websocket(environ, start_response)
    return answer(start_response, b"plain")
