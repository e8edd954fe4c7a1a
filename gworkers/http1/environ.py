"""The environ of a request (PEP 3333)."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from gunicorn.http.wsgi import base_environ

from gworkers.http1.parse_errors import ConfigurationProblem
from gworkers.http1.refusal import refusal_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gworkers.http1.body import Body
    from gworkers.http1.request import Request
    from gworkers.http1.response import Response

PROTOCOLS = {(1, 0): "HTTP/1.0", (1, 1): "HTTP/1.1"}


class Environs:
    """Builds the environs of the requests that arrive through one listener.

    :param cfg: Gunicorn's configuration
    :param address: the address of the listener, as its socket returns it
    :param extensions: further entries, the same for all requests
    """

    def __init__(self, cfg: Any, address: Any, extensions: Mapping[str, object]) -> None:
        self._base: dict[str, Any] = {**base_environ(cfg), **extensions, "wsgi.multithread": True,
                                      "SCRIPT_NAME": os.environ.get("SCRIPT_NAME", "")}
        self._is_unix = not isinstance(address, tuple)
        if not self._is_unix:
            self._base["SERVER_NAME"] = address[0]
            self._base["SERVER_PORT"] = str(address[1])
        elif isinstance(address, bytes):
            # A Unix socket in the abstract namespace.
            address = os.fsdecode(address)
        self._address = address

    def build(self, request: Request, response: Response, body: Body, sock: Any) -> dict[str, Any]:
        """Return the environ of *request*.

        :param sock: the value of ``gunicorn.socket``
        :raises Refusal: if the path of the request is not below ``SCRIPT_NAME``
        """
        path = request.path
        peer = request.peer_addr
        environ = {
            **self._base, **request.fields,
            "wsgi.input": body,
            "wsgi.url_scheme": request.scheme,
            "wsgi.early_hints": response.early_hints,
            "gunicorn.socket": sock,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query,
            "RAW_URI": request.uri,
            "SERVER_PROTOCOL": PROTOCOLS.get(request.version) or f"HTTP/{request.version[0]}.{request.version[1]}",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
        }
        if isinstance(peer, tuple):
            environ["REMOTE_ADDR"] = peer[0]
            environ["REMOTE_PORT"] = str(peer[1])
        else:
            environ["REMOTE_ADDR"] = os.fsdecode(peer)
        if self._is_unix:
            environ["SERVER_NAME"], environ["SERVER_PORT"] = self._host(request)
        script = request.script_name or environ["SCRIPT_NAME"]
        if script:
            self._mount(environ, path, script)
        if request.proxy_protocol_info:
            _put_proxied(environ, request.proxy_protocol_info)
        return environ

    def _host(self, request: Request) -> tuple[str, str]:
        """Return name and port from the ``Host`` field, because a Unix socket has neither."""
        host = request.fields.get("HTTP_HOST")
        if not host:
            return self._address, ""
        bracket = host.find("]") + 1 if host.startswith("[") else 0
        name, _, port = host[bracket:].partition(":")
        return host[:bracket] + name, port.partition(":")[0] or {"http": "80", "https": "443"}.get(request.scheme, "")

    def _mount(self, environ: dict[str, Any], path: str, script: str) -> None:
        if not path.startswith(script):
            raise refusal_for(ConfigurationProblem(
                f"Request path {path!r} does not start with SCRIPT_NAME {script!r}")) from None
        environ["SCRIPT_NAME"] = script
        environ["PATH_INFO"] = unquote_to_bytes(path[len(script):]).decode("latin-1")


def _put_proxied(environ: dict[str, Any], info: Any) -> None:
    """Add the addresses of a PROXY header to *environ*. If it names no client, the proxy itself is the client."""
    environ["PROXY_PROTOCOL"] = info["proxy_protocol"]
    if info["client_addr"] is not None:
        environ["REMOTE_ADDR"] = info["client_addr"]
        environ["REMOTE_PORT"] = str(info["client_port"])
        environ["PROXY_ADDR"] = info["proxy_addr"]
        environ["PROXY_PORT"] = str(info["proxy_port"])
