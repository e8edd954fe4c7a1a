"""The tables in docs/migrate: each row says what is here instead, and names a test of it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from support.paths import ROOT, TESTS

pytestmark = pytest.mark.smoke

PAGES = sorted((ROOT / "docs/migrate").glob("*.md"))


def rows(page: Path) -> list[str]:
    """The rows of the tables whose last column is called Test."""
    found = []
    in_table = False
    for line in page.read_text().splitlines():
        if line.endswith("| Test |"):
            in_table = True
        elif not line.startswith("|"):
            in_table = False
        elif in_table and not line.startswith("| ---"):
            found.append(line)
    return found


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in the file of that name, wherever in tests/."""
    return frozenset(name for path in TESTS.rglob(file)
                     for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_row_names_tests_that_exist(page: Path) -> None:
    wrong = []
    for row in rows(page):
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row.rpartition(" | ")[2])
        if not named or any(name not in names_in(file) for file, name in named):
            wrong.append(row)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_a_table(page: Path) -> None:
    assert len(rows(page)) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_begins_with_the_steps(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", page.read_text(), re.MULTILINE)
    assert headings[0] == "Steps"
    assert re.search(r"^1\. ", page.read_text(), re.MULTILINE)
    assert "gworkers doctor" in page.read_text()
