"""Applications that read from the connection's socket or take it over, and the number of open file descriptors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import sockets
from app_support import answer, route_by_name, say, wait_at


def descriptors(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the number of file descriptors of the process."""
    return answer(start_response, str(len(os.listdir("/dev/fd"))).encode())


def wait(environ: Any, start_response: Any) -> Iterable[bytes]:
    say("waiting")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def asks(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Call the method of the socket that the query names."""
    return answer(start_response, repr(getattr(environ["gunicorn.socket"], environ["QUERY_STRING"])()).encode())


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    """A WebSocket that echoes, with flask-sock."""
    return sockets.app(environ, start_response)


def eventlet_echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same with eventlet.websocket."""
    from eventlet_sockets import websocket

    return websocket(environ, start_response)


app = route_by_name(globals())
