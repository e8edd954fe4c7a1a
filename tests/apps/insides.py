"""What a worker is like inside while it serves: patched or not, greenlets, descriptors."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable

# At load time, by name: what a patch that came later would not reach.
from socket import socket
from typing import Any

from greenlet import greenlet
from stage import answer, say, stage, wait_at


def socket_class(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Whose ``socket`` this module has."""
    return answer(start_response, socket.__module__.encode())


def greenlets(environ: Any, start_response: Any) -> Iterable[bytes]:
    """How many there are that have not ended."""
    gc.collect()
    found = [each for each in gc.get_objects() if issubclass(type(each), greenlet)]
    return answer(start_response, str(sum(not each.dead for each in found)).encode())


def descriptors(environ: Any, start_response: Any) -> Iterable[bytes]:
    """How many the process has."""
    return answer(start_response, str(len(os.listdir("/dev/fd"))).encode())


def hold(environ: Any, start_response: Any) -> Iterable[bytes]:
    say("holding")
    wait_at(environ["QUERY_STRING"])
    return answer(start_response)


def hold_the_socket(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same once it has looked at the connection's socket."""
    environ["gunicorn.socket"].gettimeout()
    return hold(environ, start_response)


def kilobytes(environ: Any, start_response: Any) -> Iterable[bytes]:
    """As many as the query says, in one part with its length."""
    return answer(start_response, b"x" * 1000 * int(environ["QUERY_STRING"]))


app = stage(globals())
