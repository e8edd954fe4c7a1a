"""The validator of the form "validated" is there: what it finds is an error."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("form", ["validated"], scope="session")
def test_validator_is_there(site):
    server = site("responses")
    assert server.connect().request("/text").status == 500
    server.expect_traceback("AssertionError")
