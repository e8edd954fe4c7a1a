"""The form "validated" of the test application runs the validator of wsgiref."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("form", ["validated"], scope="session")
def test_validator_detects_a_violation(site):
    server = site("responses")
    assert server.connect().request("/text").status == 500
    server.expect_traceback("AssertionError")
