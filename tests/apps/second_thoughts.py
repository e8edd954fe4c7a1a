"""Applications that call ``start_response`` again after a call that failed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from stage import stage

PLAIN = ("Content-Type", "text/plain")
BAD = ("X-Bad", "two\r\nlines")


def refused(environ: Any, start_response: Any, *first: tuple[str, str]) -> None:
    """A start_response that fails, then one with an error page for that."""
    try:
        start_response("200 OK", [PLAIN, *first, BAD])
    except ValueError:
        start_response("500 Oops", [PLAIN], sys.exc_info())


def whole(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first one named a length that the error page does not have."""
    refused(environ, start_response, ("Content-Length", "5"))
    return [b"the error page"]


def parts(environ: Any, start_response: Any) -> Iterable[bytes]:
    refused(environ, start_response, ("Content-Length", "5"))
    return [b"the ", b"error ", b"page"]


def upgrade(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first one was for another protocol."""
    refused(environ, start_response, ("Upgrade", "websocket"), ("Connection", "upgrade"))
    return [b"the error page"]


def again(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The first one failed, so a second one needs no exc_info."""
    try:
        start_response("200 OK", [PLAIN, ("Content-Length", "5"), BAD])
    except ValueError:
        start_response("500 Oops", [PLAIN])
    return [b"the error page"]


def swallowed(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The second one fails, and the application goes on as if there had been the first one only."""
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
    """The same where the second one fails behind a length of its own."""
    start_response("200 OK", [PLAIN])
    try:
        raise LookupError("deliberate")
    except LookupError:
        try:
            start_response("500 Oops", [PLAIN, ("Content-Length", "3"), BAD], sys.exc_info())
        except ValueError:
            pass
    return [b"hel", b"lo"]


app = stage(globals())
