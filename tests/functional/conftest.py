"""Which form of a test application the functional tests talk to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from server import Server


@pytest.fixture
def form() -> str:
    """Goes before an application's name; test_wsgi_validate.py runs the same tests with another."""
    return ""


@pytest.fixture
def site(serve: Callable[..., Server], form: str) -> Callable[..., Server]:
    """``site("echo")``: a shared server with tests/apps/echo.py, in the form that the module asks for."""

    def site(name: str, *options: object, **more: Any) -> Server:
        return serve(f"{form}{name}" if form else f"{name}:app", *options, **more)

    return site
