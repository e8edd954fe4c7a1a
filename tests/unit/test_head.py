"""What HeadParser makes of request heads: with the fast way and without."""

from __future__ import annotations

import pytest

from fuzz.corpus import ORDINARY, PROXIES, configure, lines
from gworkers.errors import Refusal
from gworkers.http1 import head as head_module
from gworkers.http1.fast import FastParser
from gworkers.http1.fields import keeps_alive
from gworkers.http1.head import HeadParser
from support.heads import PEER, feed, heads, parse, refusal

pytestmark = pytest.mark.smoke


def test_what_a_request_says_of_itself(fast):
    data = lines("GET /a%20b?c=d HTTP/1.1", "Host: example.com", "X-Ca: no", "Cookie: \xfc")
    request = parse(heads(fast), data + b"rest", number=3)
    assert (request.method, request.uri, request.path, request.query) == ("GET", "/a%20b?c=d", "/a%20b", "c=d")
    assert (request.version, request.scheme, request.fragment) == ((1, 1), "http", "")
    assert request.size == len(data)
    assert request.headers == [("HOST", "example.com"), ("X-CA", "no"), ("COOKIE", "\xfc")]
    assert request.fields == {"HTTP_HOST": "example.com", "HTTP_X_CA": "no", "HTTP_COOKIE": "\xfc"}
    assert (request.length, request.expects_continue, request.should_close()) == (0, False, False)
    assert (request.peer_addr, request.remote_addr, request.req_number) == (PEER, PEER, 3)
    assert (request.script_name, request.proxy_protocol_info, list(request.trailers)) == (None, None, [])


def test_request_can_be_made_the_last(fast):
    request = parse(heads(fast), lines("GET / HTTP/1.1"))
    assert not request.should_close()
    request.force_close()
    assert request.should_close()


@pytest.mark.parametrize(("target", "path", "query", "fragment"), [
    ("/", "/", "", ""), ("/?", "/", "", ""), ("/a?b?c", "/a", "b?c", ""), ("//a/b?c", "//a/b", "c", ""),
    ("/a;b#c?d", "/a;b", "", "c?d"), ("/a?b#c", "/a", "b", "c"), ("http://host/a?b", "/a", "b", ""),
    ("/:a", "/:a", "", ""),
    ("http://host", "", "", ""), ("/[", "/[", "", ""), ("/a\\b", "/a\\b", "", ""),
])
def test_parts_of_a_target(fast, target, path, query, fragment):
    request = parse(heads(fast), lines(f"GET {target} HTTP/1.1"))
    assert (request.uri, request.path, request.query, request.fragment) == (target, path, query, fragment)


@pytest.mark.parametrize(("fields", "length"), [
    ([], 0), (["Content-Length: 0"], 0), (["Content-Length: 12"], 12), (["content-length:007"], 7),
    (["Content-Length: 1000000000000000000000"], 10 ** 21), (["Transfer-Encoding: chunked"], None),
    (["transfer-encoding:  Chunked "], None), (["Transfer-Encoding: gzip, chunked"], None),
])
def test_size_of_the_body(fast, fields, length):
    assert parse(heads(fast), lines("POST / HTTP/1.1", *fields)).length == length


@pytest.mark.parametrize(("version", "connection", "closes"), [
    ("1.1", [], False), ("1.1", ["close"], True), ("1.1", ["Close"], True), ("1.1", ["keep-alive"], False),
    ("1.1", ["upgrade, close"], True), ("1.1", ["upgrade"], False), ("1.1", ["closed"], False), ("1.1", [""], False),
    ("1.1", ["keep-alive", "close"], True), ("1.1", ["\xa0close"], False),
    ("1.0", [], True), ("1.0", ["keep-alive"], False), ("1.0", ["Keep-Alive, upgrade"], False),
    ("1.0", ["close"], True),
    ("1.0", ["keep-alive, close"], True), ("1.0", ["upgrade"], True),
])
def test_whether_the_connection_persists(fast, version, connection, closes):
    fields = [f"Connection: {options}" for options in connection]
    assert parse(heads(fast), lines(f"GET / HTTP/{version}", *fields)).should_close() is closes


def test_connection_ends_where_the_next_request_might_not_be_one(fast):
    assert parse(heads(fast), lines("CONNECT a:1 HTTP/1.1", "Connection: keep-alive")).should_close()
    assert parse(heads(fast), lines("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked")).should_close()


@pytest.mark.parametrize(("options", "version", "kept"), [
    ("", (1, 1), True), ("", (1, 0), False), ("\tclose ", (1, 1), False), ("a,\tKEEP-ALIVE", (1, 0), True),
    ("", (2, 0), True), ("", (0, 9), False),
])
def test_connection_options(options, version, kept):
    assert keeps_alive(options, version) is kept


@pytest.mark.parametrize(("version", "expected"), [("1.1", True), ("1.0", False)])
def test_expectation(fast, version, expected):
    request = parse(heads(fast), lines(f"POST / HTTP/{version}", "Expect: 100-Continue", "Content-Length: 1"))
    assert request.expects_continue is expected
    assert request.fields["HTTP_EXPECT"] == "100-Continue"


def test_whose_word_on_the_scheme_counts(fast):
    parser = heads(fast)
    data = lines("GET / HTTP/1.1", "X-Forwarded-Proto: https")
    assert parse(parser, data, trusted=True).scheme == "https"
    assert parse(parser, data, trusted=False).scheme == "http"
    contradiction = lines("GET / HTTP/1.1", "X-Forwarded-Proto: https", "X-Forwarded-SSL: off")
    assert refusal(parser, contradiction, trusted=True).status == 400
    assert parse(parser, contradiction, trusted=False).scheme == "http"
    agreement = lines("GET / HTTP/1.1", "X-Forwarded-Proto: https", "X-Forwarded-SSL: on")
    assert parse(parser, agreement, trusted=True).scheme == "https"


def test_scheme_of_a_listener_with_tls(fast):
    parser = heads(fast, certfile="server.pem")
    assert parse(parser, lines("GET / HTTP/1.1")).scheme == "https"
    assert parse(parser, lines("GET / HTTP/1.1", "X-Forwarded-Proto: http"), trusted=True).scheme == "http"


def test_secure_scheme_headers_mean_what_they_mean_to_gunicorn(fast):
    parser = heads(fast, secure_scheme_headers={"X-SECURE": "yes", "x-lower": "yes", "X_UNDER": "yes"})
    for name, scheme in [("x-secure", "https"), ("X-Lower", "http"), ("X-Under", "http")]:
        assert parse(parser, lines("GET / HTTP/1.1", f"{name}: yes"), trusted=True).scheme == scheme


def test_whose_word_on_the_environ_counts(fast):
    parser = heads(fast)
    data = lines("GET /app/x HTTP/1.1", "SCRIPT_NAME: /app", "X_Other: 1", "Script-Name: /other")
    trusted = parse(parser, data, trusted=True)
    assert trusted.script_name == "/app"
    assert trusted.fields == {"HTTP_SCRIPT_NAME": "/app,/other"}
    stranger = parse(parser, data, trusted=False)
    assert (stranger.script_name, stranger.fields) == (None, {"HTTP_SCRIPT_NAME": "/other"})
    assert refusal(heads(fast, header_map="refuse"), data).status == 400
    assert "HTTP_X_OTHER" in parse(heads(fast, header_map="dangerous"), data).fields


def test_content_length_with_an_underscore_is_another_field(fast):
    parser = heads(fast, header_map="dangerous")
    request = parse(parser, lines("POST / HTTP/1.1", "Content_Length: 7", "Content_Type: a/b", "Content-Length: 1"))
    assert request.length == 1
    assert request.fields == {"CONTENT_LENGTH": "1", "HTTP_CONTENT_LENGTH": "7", "HTTP_CONTENT_TYPE": "a/b"}


def test_trailers_are_parsed_by_the_same_rules(fast):
    parser = heads(fast, limit_request_fields=3)
    request = parse(parser, lines("POST / HTTP/1.1", "Transfer-Encoding: chunked"))
    assert request.parse_trailers(b"X-A: 1\r\nx-b:\t2 ") == [("X-A", "1"), ("X-B", "2")]
    for section, status in [(b"Host: a", 400), (b"Content-Length: 1", 400), (b"X-A: \x01", 400), (b"X A: 1", 400),
                            (b"X: 1\n", 400), (b"X: 1\r\n y", 400), (b"a:1\r\nb:2\r\nc:3\r\nd:4", 431)]:
        with pytest.raises(Refusal) as caught:
            request.parse_trailers(section)
        assert caught.value.status == status, section


# The fast way

@pytest.mark.parametrize("data", ORDINARY)
def test_ordinary_heads_are_not_declined(data, monkeypatch):
    monkeypatch.setattr(head_module, "request_class", lambda: None)
    assert parse(heads(FastParser), data).size == data.index(b"\r\n\r\n") + 4


def test_large_cookies_are_not_declined(monkeypatch):
    monkeypatch.setattr(head_module, "request_class", lambda: None)
    cookie = "c" * 8000
    data = lines("GET / HTTP/1.1", f"Cookie: {cookie}", f"Authorization: {cookie}", f"X-Other: {cookie}")
    assert parse(heads(FastParser), data).fields["HTTP_COOKIE"] == cookie


# PROXY headers

def proxied(fast, settings):
    config = configure(settings)
    return HeadParser(config, fast(config))


def test_proxy_header_counts_only_once_and_only_if_it_is_on(fast):
    data = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" + lines("GET / HTTP/1.1", "Host: a")
    parser = proxied(fast, "proxied")
    request = parser.parse(data, 0, "", True, 1)
    assert request.size == len(data)
    assert request.proxy_protocol_info == {"proxy_protocol": "TCP4", "client_addr": "192.0.2.7", "client_port": 56324,
                                           "proxy_addr": "198.51.100.1", "proxy_port": 443}
    assert refusal(parser, data, number=2).status == 400
    assert refusal(heads(fast), data).status == 400
    assert parse(parser, lines("GET / HTTP/1.1", "Host: a")).proxy_protocol_info is None


def test_proxy_header_from_a_stranger(fast):
    parser = proxied(fast, "proxied")
    assert refusal(parser, b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" + lines("GET / HTTP/1.1")).status == 403


def test_method_that_looks_like_a_proxy_line(fast):
    parser = proxied(fast, "proxied")
    assert parse(parser, lines("PROXYX / HTTP/1.1")).method == "PROXYX"


@pytest.mark.skipif(configure("proxied v2") is None, reason="this Gunicorn knows the first version only")
def test_other_version_of_a_proxy_header_is_none(fast):
    parser = proxied(fast, "proxied v2")
    assert parse(parser, lines("PROXY / HTTP/1.1")).method == "PROXY"
    assert refusal(parser, b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" + lines("GET / HTTP/1.1")).status == 400
    assert refusal(proxied(fast, "proxied"), PROXIES[-8] + lines("GET / HTTP/1.1")).status == 400


def test_proxy_line_that_is_too_short(fast):
    # Judged by itself, before what comes behind it, though it has not the bytes that tell which version it is.
    for settings, peer, status in [("proxied", "", 400), ("proxied", PEER, 403)]:
        parser = proxied(fast, settings)
        for rest in (b"GET / ", b"\r\nGET", b"\r\n\x85\n", b"\n\n\n\n"):
            with pytest.raises(Refusal) as caught:
                parser.parse(b"PROXY \r\n" + rest, 0, peer, True, 1)
            assert caught.value.status == status


def test_request_shorter_than_a_proxy_header(fast):
    # It takes twelve bytes to tell a PROXY header, and a first request may have fewer.
    parser = proxied(fast, "proxied")
    assert feed(parser, [b"A\r\n\r\n"]) == (None, 5)
    with pytest.raises(Refusal) as caught:
        feed(parser, [b"A\r\n\r\n", b"GET / HTTP/1.1\r\n"])
    assert caught.value.status == 400


def test_bytes_that_the_standard_library_chokes_on(fast):
    parser = proxied(fast, "proxied")
    data = b"PROXY TCP4 192.0.2.7\0 198.51.100.1 1 2\r\n" + lines("GET / HTTP/1.1")
    with pytest.raises(Refusal) as caught:
        parser.parse(data, 0, "", True, 1)
    assert caught.value.status == 400
