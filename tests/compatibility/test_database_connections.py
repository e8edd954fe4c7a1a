"""The check of database connections with the real libraries. No database runs, so the check connects to none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import path
from support.server import Server
from support.startup import findings

Start = Callable[..., Server]
#: Starts a server with this source of its application, and returns the codes of its findings.
Find = Callable[..., list[str]]

DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DATABASES={{"default": {{
    "ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "9", "NAME": "shop", **{database}}}}})
urlpatterns = []
app = get_wsgi_application()
"""
SQLALCHEMY = """
from probe import app
from sqlalchemy import create_engine
engine = create_engine("postgresql+psycopg://127.0.0.1:9/shop"{pool})
"""


@pytest.fixture
def find(start: Start, tmp_path: Path) -> Find:
    def find(source: str, **more: object) -> list[str]:
        (tmp_path / "shop.py").write_text(source)
        server = start("shop:app", env={"PYTHONPATH": path(tmp_path), "PSYCOPG_WAIT_FUNC": "wait_selector"}, **more)
        server.connect().request()
        return findings(server)

    return find


def test_conn_max_age_of_django_is_reported(find: Find) -> None:
    pytest.importorskip("django")
    assert find(DJANGO.format(database={"CONN_MAX_AGE": 600})) == ["database-connections"]


@pytest.mark.parametrize("database", [{}, {"OPTIONS": {"pool": {"max_size": 20}}}, {"CONN_MAX_AGE": 0}], ids=str)
def test_other_settings_of_django_are_not_reported(find: Find, database: dict[str, object]) -> None:
    pytest.importorskip("django")
    assert find(DJANGO.format(database=database), workers=4) == []


def test_limit_of_requests_ends_the_finding_about_django(find: Find) -> None:
    pytest.importorskip("django")
    source = DJANGO.format(database={"CONN_MAX_AGE": 600})
    assert find(source, settings={"max_active_requests": 90}) == []


def test_large_pool_of_sqlalchemy_is_reported(find: Find) -> None:
    pytest.importorskip("sqlalchemy")
    assert find(SQLALCHEMY.format(pool=", pool_size=60"), workers=2) == ["database-connections"]
    assert find(SQLALCHEMY.format(pool=""), workers=2) == []
