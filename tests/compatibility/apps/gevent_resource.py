"""A ``Resource`` of gevent-websocket: a WebSocket application and a WSGI application by path."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from app_support import answer, say
from geventwebsocket import Resource, WebSocketApplication
from geventwebsocket.protocols.base import BaseProtocol


class Protocol(BaseProtocol):
    PROTOCOL_NAME = "shouting"


class Echo(WebSocketApplication):
    protocol_class = Protocol

    def on_open(self) -> None:
        say("opened")

    def on_message(self, message: Any) -> None:
        if message is not None:
            self.ws.send(message.upper())

    def on_close(self, reason: Any = None) -> None:
        say("closed")


def plain(environ: Any, start_response: Any) -> Any:
    return answer(start_response, b"plain")


app = Resource(OrderedDict([("/echo", Echo), ("/", plain)]))
