"""docs/settings.md has a row for each setting, docs/development.md names the tests of each, and these exist."""

from __future__ import annotations

import re
from dataclasses import fields

from gunicorn.config import KNOWN_SETTINGS

from gworkers.settings import PREFIX, Settings
from support.paths import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "settings.md").read_text()
#: The page that names the tests.
TESTS = (DOCS / "development.md").read_text().partition("## Tests of the settings\n")[2]
SETTINGS = {setting.name for setting in KNOWN_SETTINGS} | {field.name for field in fields(Settings)}
#: Settings that the page describes as refused only.
REFUSED = {"http_protocols", "http2_cleartext", "protocol"}


def rows(page: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)


def test_each_setting_has_a_row() -> None:
    assert SETTINGS - set(rows(PAGE)) == set()


def test_no_setting_has_two_rows() -> None:
    for page in (PAGE, TESTS):
        assert sorted(set(rows(page))) == sorted(rows(page))


def test_each_setting_has_tests_or_a_reason() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", TESTS, re.MULTILINE))
    assert SETTINGS - REFUSED - set(table) == set()
    assert set(rows(PAGE)) - REFUSED == set(table)
    assert [name for name, tests in table.items() if not tests.startswith(("`test_", "none: ", "every other"))] == []


def exists(module: str, test: str) -> bool:
    files = list((ROOT / "tests").glob(f"*/{module}.py"))
    return len(files) == 1 and (not test or bool(re.search(rf"\bdef {test}\(", files[0].read_text())))


def test_tests_exist() -> None:
    named = re.findall(r"`(test_\w+)(?:::(\w+))?`", TESTS)
    assert len(named) > 100
    assert [f"{module}::{test}" for module, test in named if not exists(module, test)] == []


def test_defaults_equal_those_in_the_code() -> None:
    for name, default in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE):
        if name in Settings.__dataclass_fields__:
            given = Settings.resolve({}, {PREFIX + name.upper(): default})
            assert getattr(given, name) == getattr(Settings(), name), name
