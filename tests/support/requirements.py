"""What a test needs of the machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(what: str) -> NoReturn:
    """Skip the test for this reason; fail it where TEST_ALL_RUNTIMES is set, as in .ci/run."""
    if os.environ.get("TEST_ALL_RUNTIMES"):
        pytest.fail(what)
    pytest.skip(what)
