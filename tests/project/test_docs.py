"""The documentation: every page is linked, links have targets, lines wrap."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from gworkers.settings import PREFIX, Settings
from support.paths import ROOT

pytestmark = pytest.mark.smoke

DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "examples/README.md", *DOCS]
WIDTH = 100


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a page that are no code."""
    fenced = listed = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if re.match(r" *```", line):
            fenced = not fenced
        elif not fenced:
            # Four spaces make code, but not below an item of a list.
            listed = bool(re.match(r"([-*]|\d+\.) ", line)) or (listed and line[:1] in ("", " "))
            if listed or not line.startswith("    "):
                yield number, line


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(line.lstrip("#").strip()) for _, line in prose(page) if line.startswith("#")}


def links(page: Path) -> list[str]:
    """The targets of a page's links that are not addresses."""
    return re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", "\n".join(line for _, line in prose(page)))


def problem(page: Path, link: str) -> str:
    """What is wrong with a link; empty if nothing is."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"{link}: no such file"
    if anchor and anchor not in anchors(target):
        return f"{link}: no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_have_targets(page: Path) -> None:
    assert [found for found in (problem(page, link) for link in links(page)) if found] == []


def test_index_links_every_page() -> None:
    index = ROOT / "docs/index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [relative(page) for page in PAGES if page != index and page not in linked] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_lines_wrap(page: Path) -> None:
    long = []
    for number, line in prose(page):
        # A link's target, a piece of code and an address cannot be wrapped.
        breakable = re.sub(r"\]\([^)]*\)|https?://\S+|`[^`]{60,}`", "", line)
        if len(breakable) > WIDTH and not line.startswith("|") and not re.match(r"!\[", line):
            long.append(number)
    assert long == []


def test_contributors_can_run_the_tests_that_are_named() -> None:
    named = re.findall(r"pytest (tests/\S+\.py)(?: -k (\w+))?", (ROOT / "CONTRIBUTING.md").read_text())
    assert named
    for file, word in named:
        assert re.search(rf"\bdef test_\w*{word}", (ROOT / file).read_text()), (file, word)


def test_settings_page_has_the_settings_in_order_with_their_defaults() -> None:
    section = (ROOT / "docs/settings.md").read_text().partition("## Settings of gworkers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", section, re.MULTILINE)
    assert [name for name, _ in rows] == [field.name for field in fields(Settings)]
    defaults = {name: default.strip("`") for name, default in rows}
    assert [name for name, default in defaults.items() if default == "none" and getattr(Settings(), name)] == []
    environ = {PREFIX + name.upper(): default for name, default in defaults.items() if default != "none"}
    assert Settings.resolve({}, environ) == Settings()
