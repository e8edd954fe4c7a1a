"""Applications that call ``start_response`` again after an error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from app_support import route_by_name

PLAIN = ("Content-Type", "text/plain")
BAD = ("X-Bad", "two\r\nlines")


def refused(environ: Any, start_response: Any, *first: tuple[str, str]) -> None:
    """A start_response that fails, then one for an error page."""
    try:
        start_response("200 OK", [PLAIN, *first, BAD])
    except ValueError:
        start_response("500 Oops", [PLAIN], sys.exc_info())


def whole(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first call has a length that is not that of the error page."""
    refused(environ, start_response, ("Content-Length", "5"))
    return [b"the error page"]


def parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    refused(environ, start_response, ("Content-Length", "5"))
    return [b"the ", b"error ", b"page"]


def upgrade(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first call is for another protocol."""
    refused(environ, start_response, ("Upgrade", "websocket"), ("Connection", "upgrade"))
    return [b"the error page"]


def again(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first call fails, so the second one needs no exc_info."""
    try:
        start_response("200 OK", [PLAIN, ("Content-Length", "5"), BAD])
    except ValueError:
        start_response("500 Oops", [PLAIN])
    return [b"the error page"]


def swallowed(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The second call fails, and the application ignores that."""
    start_response("200 OK", [PLAIN, ("Content-Length", "5")])
    try:
        raise LookupError("deliberate")
    except LookupError:
        try:
            start_response("500 Oops", [PLAIN, BAD], sys.exc_info())
        except ValueError:
            pass
    return [b"hel", b"lo"]


def swallowed_length(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same if the second call has a length, too."""
    start_response("200 OK", [PLAIN])
    try:
        raise LookupError("deliberate")
    except LookupError:
        try:
            start_response("500 Oops", [PLAIN, ("Content-Length", "3"), BAD], sys.exc_info())
        except ValueError:
            pass
    return [b"hel", b"lo"]


app = route_by_name(globals())
