"""The tests of requests and answers once more, with ``wsgiref.validate`` around the application.

It checks both sides of PEP 3333: a server at fault fails with the validator's AssertionError in its log. The
tests that are for it ask for the fixture ``site``. The others ask for ``serve``, and are not repeated here: they are
about what PEP 3333 forbids applications to do, or about what the validator hides from the server, which is that an
answer is a list of one part, or a file wrapper. So test_http_file.py is not here at all: with the validator around
it, a file is an iterable like any other, which test_http_response.py has.
"""

from __future__ import annotations

import inspect

import pytest
import test_context
import test_http_body
import test_http_connection
import test_http_continue
import test_http_environ
import test_http_response


@pytest.fixture
def form():
    return "validated:"


for module in (test_context, test_http_body, test_http_connection, test_http_continue, test_http_environ,
               test_http_response):
    for name, test in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_") and "site" in inspect.signature(test).parameters:
            assert name not in globals(), f"{name} is there twice"
            globals()[name] = test


def test_the_validator_is_there(site):
    server = site("responses")
    assert server.connect().request("/text").status == 500
    server.expect_traceback("AssertionError")
