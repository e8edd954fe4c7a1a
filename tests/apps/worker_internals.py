"""Reports internals of a worker: whether it is patched, its greenlets, its file descriptors."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable

# By name, at load time: a later patch would not replace it.
from socket import socket
from typing import Any

from app_support import answer, route_by_name, say, wait_at
from greenlet import greenlet


def socket_class(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with the module of the ``socket`` class in this module."""
    return answer(start_response, socket.__module__.encode())


def greenlets(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with the number of greenlets that have not ended."""
    gc.collect()
    found = [each for each in gc.get_objects() if issubclass(type(each), greenlet)]
    return answer(start_response, str(sum(not each.dead for each in found)).encode())


def descriptors(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with the number of open file descriptors."""
    return answer(start_response, str(len(os.listdir("/dev/fd"))).encode())


def connections(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with the number of open connections."""
    server = environ["gunicorn.socket"]._connection.server
    return answer(start_response, str(server.connection_count).encode())


def hold(environ: Any, start_response: Any) -> Iterable[bytes]:
    say("holding")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def hold_the_socket(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same after an access to the socket of the connection."""
    environ["gunicorn.socket"].gettimeout()
    return hold(environ, start_response)


def kilobytes(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answer with the number of kilobytes in the query, in one part."""
    return answer(start_response, b"x" * 1000 * int(environ["QUERY_STRING"]))


app = route_by_name(globals())
