"""The views of a Django project: when they are loaded, and which of them are found."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.checks import async_views
from gworkers.django_views import load_views, urlconf


def install(monkeypatch: pytest.MonkeyPatch, *, urls: list[Any], handler: bool = True, **settings: object) -> None:
    """Like a Django whose project has these URLs."""
    modules: dict[str, Any] = {
        "django.conf": SimpleNamespace(settings=SimpleNamespace(**settings)),
        "django.urls": SimpleNamespace(get_resolver=lambda: include(urls)),
    }
    if handler:
        modules["django.core.handlers.wsgi"] = SimpleNamespace()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


def path(view: object) -> object:
    return SimpleNamespace(callback=view)


def include(urls: list[Any]) -> object:
    return SimpleNamespace(callback=None, url_patterns=urls)


def first() -> None:
    """A view."""


async def second() -> None:
    """An async view."""


def test_views_of_all_urls_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, urls=[include([path(second)]), path(first)], configured=True, ROOT_URLCONF="shop.urls")
    assert urlconf() == "shop.urls"
    assert load_views() == [first, second]


def test_urls_may_include_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [path(first)]
    urls.append(include(urls))
    install(monkeypatch, urls=urls, configured=True, ROOT_URLCONF="shop.urls")
    assert load_views() == [first, first]


def test_error_of_a_view_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        callback = None

        @property
        def url_patterns(self) -> list[Any]:
            raise AttributeError("deliberate")

    install(monkeypatch, urls=[Broken()], configured=True, ROOT_URLCONF="shop.urls")
    with pytest.raises(AttributeError, match="deliberate"):
        load_views()


@pytest.mark.parametrize(("handler", "settings"), [
    (False, {"configured": True, "ROOT_URLCONF": "shop.urls"}), (True, {"configured": True}),
    (True, {"configured": False, "ROOT_URLCONF": "shop.urls"}), (True, {}),
], ids=["no handler", "no URLs", "not configured", "another package"])
def test_nothing_is_loaded_for_other_applications(
        monkeypatch: pytest.MonkeyPatch, handler: bool, settings: dict[str, object]) -> None:
    install(monkeypatch, urls=[path(first)], handler=handler, **settings)
    assert urlconf() is None
    assert load_views() == []


def test_async_views_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = async_views.check(object(), [first, second, partial(second)], False)
    assert found.code == "asyncio-conflict"
    assert found.problem == f"Django has async views ({__name__}.second)"


def test_async_views_are_not_reported_with_the_setting() -> None:
    assert async_views.check(object(), [second], True) == []


def test_classes_that_django_marks_as_async_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asgiref.sync", SimpleNamespace(  # type: ignore[arg-type]
        iscoroutinefunction=lambda view: view is first))
    (found,) = async_views.check(object(), [first, second], False)
    assert found.problem == f"Django has async views ({__name__}.first)"
