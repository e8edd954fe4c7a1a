"""Which form of a test application the functional tests talk to, and which of them are the short selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from server import Server, parsers
from smoke import SELECTION


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.originalname in SELECTION.get(item.module.__name__, ()):
            given = item.callspec.params
            if given.get("transport", "tcp") == "tcp" and given.get("parser", "fast") in ("fast", parsers()[0]):
                item.add_marker(pytest.mark.smoke)
