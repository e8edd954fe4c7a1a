"""Header fields under their names in an environ."""

from __future__ import annotations

import pytest

from gworkers.http1.fields import COMMON, LONGEST, REMEMBERED, FieldNames, environ_fields, environ_key

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize(("name", "key"), [
    ("Host", "HTTP_HOST"), ("HOST", "HTTP_HOST"), ("x-request-id", "HTTP_X_REQUEST_ID"),
    ("Content-Type", "CONTENT_TYPE"),
    ("CONTENT-LENGTH", "CONTENT_LENGTH"), ("Content_Length", "HTTP_CONTENT_LENGTH"),
    ("content_type", "HTTP_CONTENT_TYPE"),
    ("Content-Types", "HTTP_CONTENT_TYPES"), ("X!a.b", "HTTP_X!A.B"), ("SCRIPT_NAME", "HTTP_SCRIPT_NAME"),
])
def test_key_of_a_name(name, key):
    assert environ_key(name) == key


def test_repeated_fields_are_joined_in_their_order():
    headers = [("COOKIE", "a=1"), ("HOST", "x"), ("COOKIE", "b=2"), ("COOKIE", "")]
    assert environ_fields(headers) == ({"HTTP_COOKIE": "a=1,b=2,", "HTTP_HOST": "x"}, None)


def test_fields_that_an_environ_cannot_tell_apart_are_joined():
    headers = [("X-A", "1"), ("X_A", "2"), ("CONTENT-TYPE", "a/b"), ("CONTENT_TYPE", "c/d")]
    assert environ_fields(headers)[0] == {"HTTP_X_A": "1,2", "CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": "c/d"}


def test_script_name_is_the_last_that_is_called_so():
    headers = [("SCRIPT_NAME", "/a"), ("SCRIPT_NAME", "/b"), ("SCRIPT-NAME", "/c")]
    assert environ_fields(headers) == ({"HTTP_SCRIPT_NAME": "/a,/b,/c"}, "/b")


def test_names_in_any_case():
    fields = FieldNames().fields([(b"Host", b"a"), (b"ACCEPT", b"b"), (b"x-unheard-OF", b"\xff"), (b"x.y", b"")])
    assert fields == {"HTTP_HOST": "a", "HTTP_ACCEPT": "b", "HTTP_X_UNHEARD_OF": "\xff", "HTTP_X.Y": ""}


@pytest.mark.parametrize("headers", [
    [(b"Host", b"a"), (b"host", b"b")], [(b"X-New", b"a"), (b"x-NEW", b"b")], [(b"Cookie", b"a"), (b"Cookie", b"b")],
    [(b"X_A", b"1")], [(b"Host", b"a"), (b"HTTP_HOST", b"b")], [(b"", b" folded")], [(b"X A", b"")], [(b"X\0", b"")],
    [(b"X:", b"")], [(b"\xe4", b"")], [(b"Host ", b"a")],
])
def test_names_that_are_left_to_gunicorn(headers):
    assert FieldNames().fields(headers) is None


def test_no_name_is_learnt_that_is_left_to_gunicorn():
    names = FieldNames()
    assert names.fields([(b"X_A", b"1")]) is None
    assert names.fields([(b"X_A", b"1")]) is None
    assert names.fields([(b"", b"1")]) is None
    assert names.fields([(b"", b"1")]) is None


def test_strange_names_do_not_displace_the_common_ones():
    names = FieldNames()
    for number in range(3 * REMEMBERED):
        name = b"X-%d" % number
        assert names.fields([(name, b"v")]) == {f"HTTP_X_{number}": "v"}
    names.fields([(b"y" * (LONGEST + 1), b"v")])
    assert len(names._keys) == REMEMBERED
    assert set(names._keys) >= {name.encode() for name in COMMON}
