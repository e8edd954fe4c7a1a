"""The rules of Gunicorn's newest release, on every release: what it refuses, and what it does not."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader

from fuzz.campaign import NEWEST
from fuzz.corpus import lines
from gworkers.errors import Refusal
from gworkers.http1.fast import FastParser
from gworkers.http1.head import HeadParser
from gworkers.http1.strict import StrictConfig
from support.heads import no_fast_parser

pytestmark = pytest.mark.smoke

UNUSUAL_METHODS = {"permit_unconventional_http_method": True}
UNUSUAL_VERSIONS = {"permit_unconventional_http_version": True}
FOLDING = {"permit_obsolete_folding": True}
SPACES = {"strip_header_spaces": True}


def config(settings):
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    return config


def verdict(data, settings, fast=no_fast_parser):
    """The status and message of the refusal of *data*; None and the request if it is accepted."""
    try:
        cfg = config(settings)
        request = HeadParser(cfg, fast(cfg)).parse(data, 0, "", True, 1)
    except Refusal as refusal:
        return refusal.status, refusal.message
    assert request is not None
    return None, request


def get(*fields):
    return lines("GET / HTTP/1.1", *fields)


def post(*fields, version="1.1"):
    return lines(f"POST / HTTP/{version}", *fields)


def target(text, method="GET"):
    return lines(f"{method} {text} HTTP/1.1", "Host: a")


REFUSED = [
    # request line
    (target("/\x00"), {}, 400, "request line"), (target("/\x7f"), {}, 400, "request line"),
    (target("/a\tb"), {}, 400, "request line"), (target("/\x0b"), {}, 400, "request line"),
    (target("/\x80"), {}, 400, "request line"), (target("/\xff"), {}, 400, "request line"),
    (target("/\xa0"), {}, 400, "request line"), (target("/caf\xc3\xa9?\x01"), {}, 400, "request line"),
    (target(""), {}, 400, "request line"), (target("/a b"), {}, 400, "HTTP Version"),
    (target("/\x80 HTTP/9.9"), {}, 400, "request line"),
    (target("*"), {}, 400, "request line"), (target("*", "CONNECT"), {}, 400, "request line"),
    (target("*", "options"), UNUSUAL_METHODS, 400, "request line"),
    (target("example.com:80"), {}, 400, "request line"), (target("example.com"), {}, 400, "request line"),
    (target("a/b"), {}, 400, "request line"), (target("?a=b"), {}, 400, "request line"),
    (target("mailto:a@b", "OPTIONS"), {}, 400, "request line"), (target("http://[a/"), {}, 400, "request line"),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", {}, 400, "request line"),
    (b"GET\t/ HTTP/1.1\r\n\r\n", {}, 400, "request line"),
    (b"GET / HTTP/1.1 \r\n\r\n", {}, 400, "HTTP Version"), (b" GET / HTTP/1.1\r\n\r\n", {}, 400, "HTTP method"),
    (b"GET /\r\n\r\n", {}, 400, "request line"), (b"get / HTTP/1.1\r\n\r\n", {}, 400, "HTTP method"),
    (b"GET / HTTP/2.0\r\n\r\n", {}, 400, "HTTP Version"), (b"GET / HTTP/0.9\r\n\r\n", {}, 400, "HTTP Version"),
    (b"GET / HTTP/1.\xb2\r\n\r\n", {}, 400, "HTTP Version"), (b"GET / http/1.1\r\n\r\n", {}, 400, "HTTP Version"),
    # line ends
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", {}, 400, "bare LF"),
    (b"GET /\n HTTP/1.1\r\nHost: a\r\n\r\n", {}, 400, "bare LF"),
    (b"\nGET / HTTP/1.1\r\n\r\n", {}, 400, "bare LF"), (b"GET / HTTP/1.1\r\nHost: a\n\r\n", {}, 400, "bare LF"),
    (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", {}, 400, "HTTP Header"),
    (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", {}, 400, "HTTP Header"),
    (b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", {}, 400, "header name"),
    (b"GET / HTTP/1.1\n\n", {}, 400, "bare LF"), (b"GET / HTTP/1.1\r\n\n", {}, 400, "bare LF"),
    (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", {}, 400, "request line"),
    (b"\r\rGET / HTTP/1.1\r\n\r\n", {}, 400, "HTTP method"),
    # fields
    (get("no colon"), {}, 400, "HTTP Header"), (get(": v"), {}, 400, "HTTP Header"),
    (get("X : v"), {}, 400, "header name"),
    (get("X\t: v"), {}, 400, "header name"), (get(" X: v"), {}, 400, "header name"),
    (get("X\x00: v"), {}, 400, "header name"),
    (get("X\x01Y: v"), {}, 400, "header name"), (get("X\xe4: v"), {}, 400, "header name"),
    (get("X(: v"), {}, 400, "header name"),
    *((get(f"X: a{chr(code)}b"), {}, 400, "Header: 'X'") for code in [*range(9), 11, 12, *range(14, 32), 127]),
    (get("X: \x0b"), {}, 400, "Header: 'X'"), (get("Host: a\x1f"), {}, 400, "Header: 'HOST'"),
    (get("X_Y: \x01"), {"header_map": "drop"}, 400, "Header: 'X_Y'"),
    (get("X_Y: 1"), {"header_map": "refuse", "forwarder_headers": ""}, 400, "header name"),
    (get("X: a", " b"), {}, 400, "folding"), (get("X: a", "\tb"), {}, 400, "folding"),
    (get("X: a", " "), {}, 400, "folding"),
    (get("X: a", " b\x01"), FOLDING, 400, "Header: 'X'"),
    (get("Host: a", "Host: a"), {}, 400, "Header: 'HOST'"), (get("Host: a", "hOST: b"), {}, 400, "Header: 'HOST'"),
    (get("Content-Type: a/b", "X: y", "Content-Type: a/b"), {}, 400, "Header: 'CONTENT-TYPE'"),
    # expectations
    (post("Expect: 200-ok"), {}, 417, "expectation"), (post("Expect:"), {}, 417, "expectation"),
    (post("Expect: 100-continue, x"), {}, 417, "expectation"),
    (post("Expect: x", version="1.0"), {}, 417, "expectation"),
    (post("Expect: 100-continue", "Expect: x"), {}, 417, "expectation"),
    # how long the body is
    *((post(f"Content-Length: {length}"), {}, 400, "CONTENT-LENGTH")
      for length in ["", "-1", "+1", "1,1", "1, 2", "1 1", "0x1", "1_0", "1.0", "a", "\xb2", "\xbc", "1;"]),
    (post("Content-Length: 1", "Content-Length: 1"), {}, 400, "CONTENT-LENGTH"),
    (post("Content-Length: 1", "Content-Length: 2"), {}, 400, "CONTENT-LENGTH"),
    (post("Content-Length: 1", "Transfer-Encoding: chunked"), {}, 400, "CONTENT-LENGTH"),
    (post("Transfer-Encoding: chunked", "Content-Length: 1"), {}, 400, "CONTENT-LENGTH"),
    (post("Transfer-Encoding: chunked", version="1.0"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: identity"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: gzip"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: gzip", "Content-Length: 1"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: identity", "Content-Length: 1"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: gzip", version="1.0"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: chunked, gzip"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: chunked, chunked"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: chunked, identity"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: xchunked"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding:"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: chunked,"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: \xa0chunked"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: chunked\x85"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: gzip,\xa0chunked"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: chunked;q=1"), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: \"chunked\""), {}, 501, "transfer coding"),
    (post("Transfer-Encoding: \x0bchunked"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding: \x0cchunked", "Content-Length: 1"), {}, 400, "TRANSFER-ENCODING"),
    (post("Transfer-Encoding : chunked"), {}, 400, "header name"),
    # limits
    (lines("GET /" + "x" * 26 + " HTTP/1.1"), {"limit_request_line": 39}, 414, "40 > 39"),
    (lines("GET /" + "x" * 9000 + " HTTP/1.1"), {"limit_request_line": 9000}, 414, "8190"),
    (get("A: 1", "B: 2", "C: 3"), {"limit_request_fields": 2}, 431, "fields"),
    (get("A: 12345"), {"limit_request_field_size": 9}, 431, "size"),
    (get("A: 1", " 23"), {**FOLDING, "limit_request_field_size": 10}, 431, "size"),
    (get("A: " + "x" * 8190), {"limit_request_field_size": 0}, 431, "size"),
]

ACCEPTED = [
    (target("/!\"$%&'()*+,-.:;<=>@[\\]^_`{|}~"), {}), (target("*", "OPTIONS"), {}),
    (target("*", "options"), {**UNUSUAL_METHODS, "casefold_http_method": True}),
    (target("example.com:80", "CONNECT"), {}), (target("a://"), {}), (target("http://a?b"), {}), (target("x/://"), {}),
    (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", {}), (b"GET / HTTP/1.1\r\n\r\n\n\n", {}),
    (b"get / HTTP/1.1\r\n\r\n", UNUSUAL_METHODS), (b"G / HTTP/1.1\r\n\r\n", UNUSUAL_METHODS),
    (b"GET / HTTP/2.0\r\n\r\n", UNUSUAL_VERSIONS), (b"GET / HTTP/0.9\r\n\r\n", UNUSUAL_VERSIONS),
    (b"GET / HTTP/1.2\r\n\r\n", {}),
    (get("X: \ta\tb \x80\xff"), {}), (get("X:"), {}), (get("X!#$%&'*+-.^`|~: v"), {}),
    (get("X: a", " b", "\tc"), FOLDING),
    (get("X : v"), SPACES), (get("X\t : v"), SPACES), (get("X_Y: 1"), {"header_map": "dangerous"}), (get("X_Y: 1"), {}),
    (get("Cookie: a", "Cookie: b", "Content_Type: a", "Content_Type: b"), {"header_map": "dangerous"}),
    (post("Expect: 100-continue"), {}), (post("Expect: 100-CONTINUE", version="1.0"), {}),
    (post("Content-Length: 0"), {}), (post("Content-Length: 000"), {}), (post("Transfer-Encoding: Chunked"), {}),
    (post("Transfer-Encoding:\tchunked "), {}), (post("Transfer-Encoding: gzip ,\tchunked"), {}),
    (post("Transfer-Encoding: identity, chunked"), {}),
    (post("Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), {}),
    (lines("GET /" + "x" * 25 + " HTTP/1.1"), {"limit_request_line": 39}),
    (lines("GET /" + "x" * 9000 + " HTTP/1.1"), {"limit_request_line": 0}),
    (get("A: 1", "B: 2"), {"limit_request_fields": 2}), (get("A: 1", "X_Y: 2"), {"limit_request_fields": 2}),
    (get("A: 1234"), {"limit_request_field_size": 9}), (get("A: " + "x" * 8185), {"limit_request_field_size": 0}),
    (get(*(f"X-{number}: v" for number in range(200))), {"limit_request_fields": 0}),
]


@pytest.mark.parametrize(("data", "settings", "status", "fault"), REFUSED)
def test_refused(data, settings, status, fault):
    found, message = verdict(data, settings)
    assert (found, fault in message) == (status, True), message
    assert verdict(data, settings, FastParser) == (found, message)


@pytest.mark.parametrize(("data", "settings"), ACCEPTED)
def test_accepted(data, settings):
    assert verdict(data, settings)[0] is None
    assert verdict(data, settings, FastParser)[0] is None


@pytest.mark.skipif(not NEWEST, reason="about the newest release")
@pytest.mark.parametrize(("data", "settings", "accepted"), [
    *((data, settings, False) for data, settings, *_ in REFUSED),
    *((data, settings, True) for data, settings in ACCEPTED)])
def test_newest_release_says_the_same(data, settings, accepted):
    cfg = config({**settings, "http_parser": "python"})
    # More than it needs, because what comes first decides whether it waits.
    outcome = nullcontext() if accepted else pytest.raises(ParseException)
    with outcome:
        GunicornRequest(cfg, IterUnreader([data, b"."]), "", 1)


def test_settings_are_looked_up_once():
    class Settings:
        limit_request_field_size = 0
        lookups = 0

        @property
        def header_map(self):
            self.lookups += 1
            return "drop"

    settings = Settings()
    strict = StrictConfig(settings, trusting=True)
    assert [strict.header_map, strict.header_map] == ["drop", "drop"]
    assert settings.lookups == 1
    assert (strict.http_parser, strict.limit_request_field_size) == ("python", 8190)
    with pytest.raises(AttributeError):
        strict.no_such_setting  # noqa: B018
