"""Header fields under their names in an environ."""

from __future__ import annotations

import pytest

from gworkers.http1.fields import environ_fields, environ_key, header_name

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


@pytest.mark.parametrize("name", ["HOST", "CONTENT-TYPE", "CONTENT-LENGTH", "X-REQUEST-ID", "X!A.B", "HTTP-X", "HTTP",
                                  "-", "X--A"])
def test_name_of_a_key(name):
    assert header_name(environ_key(name)) == name


def test_repeated_fields_are_joined_in_their_order():
    headers = [("COOKIE", "a=1"), ("HOST", "x"), ("COOKIE", "b=2"), ("COOKIE", "")]
    assert environ_fields(headers) == ({"HTTP_COOKIE": "a=1,b=2,", "HTTP_HOST": "x"}, None)


def test_fields_that_an_environ_cannot_tell_apart_are_joined():
    headers = [("X-A", "1"), ("X_A", "2"), ("CONTENT-TYPE", "a/b"), ("CONTENT_TYPE", "c/d")]
    assert environ_fields(headers)[0] == {"HTTP_X_A": "1,2", "CONTENT_TYPE": "a/b", "HTTP_CONTENT_TYPE": "c/d"}


def test_script_name_is_the_last_that_is_called_so():
    headers = [("SCRIPT_NAME", "/a"), ("SCRIPT_NAME", "/b"), ("SCRIPT-NAME", "/c")]
    assert environ_fields(headers) == ({"HTTP_SCRIPT_NAME": "/a,/b,/c"}, "/b")
