"""What the fast parser remembers of field lines, and that it does not matter for what it makes of a head."""

from __future__ import annotations

import re

import pytest
from gunicorn.config import Config

from fuzz.corpus import ORDINARY, lines
from gworkers.http1.fast import FastParser
from gworkers.http1.field_lines import LINES, LONGEST_LINE, LONGEST_NAME, NAMES, REPEATED, VARYING, FieldLines
from gworkers.http1.fields import environ_key
from support.heads import heads, no_fast_parser, parse, refusal

pytestmark = pytest.mark.smoke

SECRET = "s3cr3t-0f-4-cl13nt"


def fast_parser(**settings):
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    return FastParser(config)


def get(parser, *fields, trusted=False):
    request = parser.parse(lines("GET / HTTP/1.1", *fields), trusted)
    return None if request is None else request.fields


def remembered(parser):
    return parser._field_lines.known


def test_lines_in_any_case_and_order():
    parser = fast_parser()
    for _ in range(2):
        assert get(parser, "Host: a", "ACCEPT:b", "x-unheard-OF: \t\xff ", "x.y:") == {
            "HTTP_HOST": "a", "HTTP_ACCEPT": "b", "HTTP_X_UNHEARD_OF": "\xff", "HTTP_X.Y": ""}
        assert list(get(parser, "x.y:", "ACCEPT:b", "Cookie: c", "host: a")) == [
            "HTTP_X.Y", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_HOST"]


def test_repeated_lines_are_looked_up(monkeypatch):
    parser = fast_parser()
    fields = ["Host: a", "Accept: */*", "User-Agent: b"]
    expected = get(parser, *fields)
    monkeypatch.setattr(FieldLines, "complete", None)
    assert get(parser, *reversed(fields)) == expected


@pytest.mark.parametrize("fields", [
    ["Host: a", "host: b"], ["Host: a", "Host: a"], ["X-New: a", "x-NEW: b"], ["Cookie: a", "Cookie: b"],
    ["X_A: 1"], ["Host: a", "HTTP_HOST: b"], ["Content_Length: 1"], [": v"], [":"], ["X A:"], ["X\0:"], ["\xe4:"],
    ["Host : a"], [" Host: a"], ["Host: a", " b"], ["no colon"], ["nocolon"], ["Host"], ["X: \x01"], ["X: \x7f"],
    ["X: a\rb"], ["X: a\nb"], ["X: a\n"], ["X: a\r"], ["X: a\nHost: b"], ["\rX: a"], ["\nX: a"], ["X: a\n\r"],
    ["X: a\x85b\0"], ["Expect: 100-continue"],
])
@pytest.mark.parametrize("earlier", [[], ["Host: a"], ["Host: b"], ["X: a"], ["Host: a", "X: a"]])
def test_fields_that_are_declined(fields, earlier):
    parser = fast_parser()
    get(parser, *earlier)
    known = dict(remembered(parser))
    for _ in range(2):
        assert get(parser, *fields) is None
    # Invalid lines leave no trace; a valid one beside them may.
    assert {line for line in remembered(parser) if line not in known} <= {"Host: a", "host: b"}


@pytest.mark.parametrize("fields", [
    ["Host: a\r", "Accept: b\nOrigin: c"], ["Host: a\r", "Accept: b\n\rOrigin: c"], ["Host: a\rAccept: b", "Origin: c"],
    ["Host: a\nAccept: b\r", "Origin: c"], ["Host: a\0", "Accept: b"], ["Host: a\r\r", "Accept: b\n\n"],
])
def test_invalid_lines_are_not_remembered(fields):
    # An invalid line must not make another one valid, now or in a later head.
    parser = fast_parser()
    for order in (fields, fields[::-1], *([field] for field in fields)):
        get(parser, *order)
        for line in remembered(parser):
            assert re.fullmatch(r"(Host|Accept|Origin): [abc]", line), line


def test_line_feeds_do_not_smuggle_remembered_lines():
    parser = fast_parser()
    assert get(parser, "Host: a", "Accept: b")
    for data in (b"GET / HTTP/1.1\r\nHost: a\nAccept: b\r\n\r\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n",
                 b"GET / HTTP/1.1\r\n\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: a\rAccept: b\r\n\r\n", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
                 b"GET / HTTP/1.1\r\nX: 1\nX-B: 2\r\r\n\r\n", b"GET / HTTP/1.1\r\nX: 1\nX-B: 2\r\n\r\r\n\r\n"):
        assert parser.parse(data, False) is None, data


def test_remembered_lines_do_not_outgrow_a_limit():
    # One configuration has one parser, so the same line may be allowed here and refused there.
    line = "Accept: " + "a" * 50
    generous, strict = heads(FastParser), heads(FastParser, limit_request_field_size=40)
    data = lines("GET / HTTP/1.1", line)
    for _ in range(2):
        assert parse(generous, data).fields == {"HTTP_ACCEPT": "a" * 50}
        assert refusal(strict, data).status == 431


@pytest.mark.parametrize("name", ["Accept", "X-Other"])
def test_size_of_a_field(name):
    parser = fast_parser(limit_request_field_size=40)
    for _ in range(2):
        longest = f"{name}: ".ljust(38, "v")
        assert get(parser, longest) is not None
        assert get(parser, longest + "v") is None
        assert get(parser, "Host: a", longest, "Cookie: b") is not None
        assert get(parser, "Host: a", longest + "v", "Cookie: b") is None


def test_sizes_of_lines_and_number_of_fields():
    parser = fast_parser(limit_request_line=20, limit_request_fields=2)
    for _ in range(2):
        assert parser.parse(lines("GET /234567 HTTP/1.1"), False) is not None
        assert parser.parse(lines("GET /2345678 HTTP/1.1"), False) is None
        assert get(parser, "Host: a", "Accept: b") is not None
        assert get(parser, "Host: a", "Accept: b", "User-Agent: c") is None


def test_scheme_of_a_remembered_line_depends_on_the_peer():
    parser = fast_parser()
    data = lines("GET / HTTP/1.1", "X-Forwarded-Proto: https")
    for _ in range(2):
        assert parser.parse(data, True).scheme == "https"
        assert parser.parse(data, False).scheme == "http"


def test_framing_of_a_remembered_line_depends_on_the_others():
    parser = fast_parser()
    for _ in range(2):
        assert parser.parse(lines("POST / HTTP/1.1", "Content-Length: 5"), False).length == 5
        assert parser.parse(lines("POST / HTTP/1.1", "Transfer-Encoding: chunked"), False).length is None
        assert parser.parse(lines("POST / HTTP/1.0", "Transfer-Encoding: chunked"), False) is None
        assert get(parser, "Content-Length: 5", "Transfer-Encoding: chunked") is None
        assert get(parser, "Content-Length: 5", "content-length: 5") is None
        assert get(parser, "Content-Length: +5") is None
        # int() raises an exception for so many digits.
        assert get(parser, "Content-Length: " + "1" * 5000) is None
        assert get(parser, "Transfer-Encoding: gzip") is None


# What is kept

@pytest.mark.parametrize("name", [
    *VARYING, "X-Api-Key", "X-Auth-Token", "X-Amz-Security-Token", "X-Session", "Ocp-Apim-Subscription-Key", "Cookie2"])
def test_secrets_are_not_kept(name):
    parser = fast_parser()
    for spelling in (name, name.lower(), name.upper()):
        get(parser, "Host: a", f"{spelling}: {SECRET}", "Accept: b")
    assert set(remembered(parser)) == {"Host: a", "Accept: b"}
    assert not [name for name in parser._field_lines._keys if SECRET in name]


def test_listed_names_are_distinct():
    assert not {environ_key(name) for name in REPEATED} & {environ_key(name) for name in VARYING}
    assert not {"cookie", "authorization", "proxy-authorization"} & {name.lower() for name in REPEATED}


def test_number_of_remembered_lines_is_bounded():
    parser = fast_parser(limit_request_fields=0)
    for number in range(3 * LINES):
        assert get(parser, f"User-Agent: {number}", "Host: a") == {"HTTP_USER_AGENT": str(number), "HTTP_HOST": "a"}
        assert len(remembered(parser)) <= LINES
    assert get(parser, *(f"Accept: {number}" for number in range(3 * LINES))) is None
    assert len(remembered(parser)) <= LINES


def test_lines_of_many_clients_do_not_keep_out_repeated_ones():
    parser = fast_parser()
    for number in range(3 * LINES):
        get(parser, f"User-Agent: {number}")
    get(parser, "User-Agent: again")
    assert "User-Agent: again" in remembered(parser)


def test_long_lines_are_not_kept():
    parser = fast_parser()
    longest = "Accept: ".ljust(LONGEST_LINE, "a")
    assert get(parser, longest)
    assert get(parser, longest.replace("Accept", "Origin") + "a")
    assert list(remembered(parser)) == [longest]


def test_number_of_remembered_names_is_bounded():
    parser = fast_parser()
    keys = parser._field_lines._keys
    common = set(keys)
    for number in range(3 * NAMES):
        assert get(parser, f"X-{number}: v") == {f"HTTP_X_{number}": "v"}
        assert len(keys) <= NAMES
        assert common <= set(keys)
    name = "y" * (LONGEST_NAME + 1)
    assert get(parser, f"{name}: v", f"{name[1:]}: v") == {f"HTTP_{name.upper()}": "v", f"HTTP_{name[1:].upper()}": "v"}
    assert name[1:] in keys
    assert name not in keys


def test_lines_are_read_as_gunicorn_reads_them():
    # Whatever was parsed before.
    parser, python = heads(FastParser), heads(no_fast_parser)
    for data in [*ORDINARY, *ORDINARY[::-1]]:
        found, expected = parse(parser, data), parse(python, data)
        assert (found.headers, found.fields) == (expected.headers, expected.fields)
