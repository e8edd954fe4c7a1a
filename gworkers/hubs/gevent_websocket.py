"""``environ["wsgi.websocket"]``, which applications for gevent-websocket use. The package must be installed.

Its own server makes the handshake before it calls the application. Here the first use of the object makes it, because
other libraries for WebSockets make their handshake themselves.
"""
from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from hashlib import sha1
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from collections.abc import Iterable

    Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

PACKAGE = "geventwebsocket"
#: The versions of the protocol that gevent-websocket accepts.
VERSIONS = ("13", "8", "7")
#: RFC 6455 section 1.3
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def with_websockets(application: Application) -> Application | None:
    """Return *application* with ``wsgi.websocket`` in the environs of WebSocket handshakes; None without the package.

    It is for requests that ask for another protocol. Others have no frame of this module in their stack.
    """
    if find_spec(PACKAGE) is None:
        return None
    # What the package expects of its own server. Applications use the clients to broadcast.
    server = SimpleNamespace(application=application, clients={}, logger=logging.getLogger(f"{PACKAGE}.handler"))

    def application_with_websockets(environ: dict[str, Any], start_response: Any) -> Any:
        if not is_handshake(environ):
            return application(environ, start_response)
        websocket = environ["wsgi.websocket"] = LazyWebSocket(environ, server)
        environ["wsgi.websocket_version"] = environ["HTTP_SEC_WEBSOCKET_VERSION"]

        def start_unless_used(*arguments: Any) -> Any:
            return start_response(*arguments) if not websocket.is_used else [].append

        try:
            result = application(environ, start_unless_used)
            # The server sends nothing after the application has used the socket.
            return websocket.discard(result) if websocket.is_used else result
        finally:
            websocket.end()

    return application_with_websockets


def is_handshake(environ: dict[str, Any]) -> bool:
    """Return whether a request is a valid handshake (RFC 6455 section 4.2.1)."""
    if (environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] != "HTTP/1.1"
            or environ["HTTP_UPGRADE"].lower() != "websocket"
            or "upgrade" not in environ.get("HTTP_CONNECTION", "").lower()
            or environ.get("HTTP_SEC_WEBSOCKET_VERSION") not in VERSIONS):
        return False
    try:
        return len(b64decode(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))) == 16
    except ValueError:
        return False


class LazyWebSocket:
    """The value of ``wsgi.websocket``. All attributes are those of a ``geventwebsocket.websocket.WebSocket``."""

    def __init__(self, environ: dict[str, Any], server: Any) -> None:
        self._environ = environ
        self._server = server
        self._websocket: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._websocket is None:
            handler = Handler(self._environ, self._server)
            module = import_module(f"{PACKAGE}.websocket")
            websocket = self._websocket = module.WebSocket(self._environ, module.Stream(handler), handler)
            handler.active_client = SimpleNamespace(address=handler.client_address, ws=websocket)
            self._server.clients[handler.client_address] = handler.active_client
        return getattr(self._websocket, name)

    @property
    def is_used(self) -> bool:
        """Whether the application has used it, so that no response can be sent."""
        return self._websocket is not None

    def discard(self, result: Any) -> list[bytes]:
        """Let the application complete its *result*. Return the one to send."""
        for _ in result or ():
            pass
        if hasattr(result, "close"):
            result.close()
        return []

    def end(self) -> None:
        """End the conversation when the application has returned."""
        websocket = self._websocket
        if websocket is not None:
            self._server.clients.pop(websocket.handler.client_address, None)
            if not websocket.closed:
                websocket.close()


class Handler:
    """What gevent-websocket expects of the handler of its own server. The handshake is sent when it is made."""

    active_client: Any

    def __init__(self, environ: dict[str, Any], server: Any) -> None:
        self.environ = environ
        self.server = server
        self.application = server.application
        self.logger = server.logger
        self.socket = environ["gunicorn.socket"]
        # All clients of a Unix socket have the same name, which is empty.
        self.client_address = self.socket.getpeername() or f"unix:{self.socket.fileno()}"
        self.socket.sendall(_response(environ, server.application))
        self.rfile = self.socket.makefile("rb")


def _response(environ: dict[str, Any], application: Any) -> bytes:
    """Return the response to a handshake (RFC 6455 section 4.2.2)."""
    accept = b64encode(sha1(environ["HTTP_SEC_WEBSOCKET_KEY"].strip().encode() + GUID).digest())
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade",
             b"Sec-WebSocket-Accept: " + accept]
    # An instance of geventwebsocket.Resource has this method.
    if hasattr(application, "app_protocol"):
        protocol = application.app_protocol(environ["PATH_INFO"])
        offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")
        if protocol and protocol in map(str.strip, offered):
            lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode("latin-1"))
    return b"\r\n".join([*lines, b"", b""])
