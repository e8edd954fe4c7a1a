"""Counts objects of closed connections, in a worker whose garbage collector is off."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable
from typing import Any

from after_the_response import in_background
from app_support import answer, route_by_name, say
from many_clients import file, megabytes, received, wait  # noqa: F401
from responses import closing_after_error, fails, large, one, streamed  # noqa: F401
from sockets import by_hand, handled  # noqa: F401

from gworkers.http1.request import Request
from gworkers.http1.response import Response
from gworkers.serving.connection import Connection

gc.disable()


def remaining(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Return the number of connections, requests and responses, including those of this request."""
    assert not gc.isenabled()
    kinds = [type(each) for each in gc.get_objects()]
    return answer(start_response, json.dumps([kinds.count(kind) for kind in (Connection, Request, Response)]).encode())


def hinted(environ: Any, start_response: Any) -> Iterable[bytes]:
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    return answer(start_response)


def read_in_background(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Respond while another greenlet waits for the body."""
    body = environ["wsgi.input"]

    def read() -> None:
        try:
            body.read()
        except OSError:
            say("stopped reading")

    in_background(read)
    return answer(start_response)


app = route_by_name(globals())
