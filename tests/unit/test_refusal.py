"""Refusals and error pages are those of Gunicorn's own workers."""

from __future__ import annotations

import logging
import re
import socket
from types import SimpleNamespace

import pytest
from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.base import Worker

from fuzz.campaign import NEWEST
from gworkers.http1.refusal import error_page, refusal_for
from gworkers.http1.response_head import ResponseHeads

pytestmark = pytest.mark.smoke


HEADS = ResponseHeads("gunicorn")


def page_of(status, reason, detail):
    """The error page without the fields that Gunicorn's page does not have."""
    page = error_page(HEADS, status, reason, detail)
    page, count = re.subn(rb"^Server: gunicorn\r\nDate: [A-Za-z0-9 ,:]+ GMT\r\n", b"", page, flags=re.MULTILINE)
    assert count == 1
    return page


def sent_by_gunicorn(write):
    """Return what *write* sends on a socket, with an empty line behind the head.

    From Python 3.14 on, ``textwrap.dedent()`` makes that line of Gunicorn's page a bare LF.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write(ours)
        ours.close()
        received = b""
        while data := theirs.recv(65536):
            received += data
    return received.replace(b"\r\n\n", b"\r\n\r\n", 1)


@pytest.mark.parametrize("detail", ["", "plain", "<b>&\"'</b>", "caf\xe9 \xff", "50 % of %s"])
def test_error_page_equals_gunicorns(detail):
    theirs = sent_by_gunicorn(lambda sock: util.write_error(sock, 400, "Bad Request", detail))
    assert page_of(400, "Bad Request", detail) == theirs


def test_error_page_is_latin_1():
    page = error_page(HEADS, 400, "Bad Request", "snow \u2603")
    head, _, body = page.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"snow ?" in body


EXAMPLES = [
    errors.InvalidRequestLine("GET"), errors.InvalidRequestMethod("get"), errors.InvalidHTTPVersion("HTTP/9"),
    errors.InvalidHeader("HOST"), errors.InvalidHeaderName("A B"), errors.ObsoleteFolding("X"),
    errors.LimitRequestLine(9, 8), errors.LimitRequestHeaders("too many"), errors.InvalidProxyLine("PROXY"),
    errors.ForbiddenProxyRequest("192.0.2.1"), errors.InvalidSchemeHeaders(), errors.UnsupportedTransferCoding("x"),
    errors.InvalidRequestLine("100 % <b>"),
]
if hasattr(errors, "ExpectationFailed"):
    EXAMPLES.append(errors.ExpectationFailed("unexpected"))


@pytest.mark.skipif(not NEWEST, reason="older releases answer with 400 to more of them")
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_refusal_equals_gunicorns(error):
    worker = SimpleNamespace(log=logging.getLogger("gunicorn.test"), cfg=None)
    theirs = sent_by_gunicorn(lambda sock: Worker.handle_error(worker, None, sock, ("192.0.2.1", 1), error))
    refusal = refusal_for(error)
    assert page_of(refusal.status, refusal.reason, refusal.detail) == theirs
    assert refusal.message == str(error)


@pytest.mark.parametrize(("error", "status", "reason"), [
    (errors.LimitRequestLine(9, 8), 414, "URI Too Long"), (errors.InvalidHeader("X"), 400, "Bad Request"),
    (errors.LimitRequestHeaders("many"), 431, "Request Header Fields Too Large"),
    (errors.ConfigurationProblem("no"), 500, "Internal Server Error"),
    (ValueError("embedded null byte"), 400, "Bad Request"),
    (type("OfALaterRelease", (errors.ParseException,), {})("new"), 400, "Bad Request"),
])
def test_status_on_any_release(error, status, reason):
    refusal = refusal_for(error)
    assert (refusal.status, refusal.reason, refusal.message) == (status, reason, str(error))
