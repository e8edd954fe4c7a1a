"""The results of the tests of libraries, and the table that they make."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

#: The order of the areas in the table. Others follow.
AREAS = ("Web frameworks", "WebSockets and events", "Databases", "Task queues", "Clients", "Monitoring")


def missing(distributions: Iterable[str]) -> list[str]:
    """Return those that are not installed."""
    absent = []
    for name in distributions:
        try:
            version(name)
        except PackageNotFoundError:
            absent.append(name)
    return absent


@dataclass
class Result:
    """One test on one hub.

    Attributes:
        file: its path.
        line: where it starts.
        libraries: names and versions of distributions.
        hub: "gevent", "eventlet" or "" for both.
        outcome: "passed", "failed", "skipped", or "" if it has not run.
    """

    file: str
    line: int
    area: str
    libraries: dict[str, str]
    claim: str
    note: str
    works: bool
    hub: str
    outcome: str = ""


def describe(item: pytest.Function) -> Result | None:
    """Return what is known of a test before it runs, or None if it has no mark ``library``."""
    mark = item.get_closest_marker("library")
    if mark is None:
        return None
    file, line, _ = item.location
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return Result(
        file=file, line=line or 0, area=mark.kwargs.get("area", ""),
        libraries={name: "not installed" if missing([name]) else version(name) for name in mark.args},
        claim=(item.function.__doc__ or "").strip().partition("\n")[0], note=mark.kwargs.get("note", ""),
        works=mark.kwargs.get("works", True), hub=str(parameters.get("hub", "")))


@dataclass
class Row:
    """One library in the table."""

    area: str
    libraries: dict[str, str]
    claims: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cells: dict[str, set[str]] = field(default_factory=lambda: {"gevent": set(), "eventlet": set()})

    def add(self, result: Result) -> None:
        self.libraries.update(result.libraries)
        for new, known in ((result.claim, self.claims), (result.note, self.notes)):
            if new and new not in known:
                known.append(new)
        outcome = result.outcome if result.outcome != "passed" else "yes" if result.works else "no"
        for hub in [result.hub] if result.hub else self.cells:
            self.cells[hub].add(outcome)

    def cell(self, hub: str) -> str:
        """The worst outcome on that hub. A test may be for the other hub only, and skipped on this one."""
        found = self.cells[hub]
        return next((outcome for outcome in ("failed", "no", "yes", "skipped") if outcome in found), "not tested")


class RecordResults:
    """A plugin for pytest that writes the results of tests with the mark ``library`` to a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._results: list[Result] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        given: Any = dict(report.user_properties).get("library")
        # A test that fails in its setup or its teardown has another report.
        if given is not None and (report.when == "call" or report.outcome != "passed"):
            self._results.append(replace(Result(**given), outcome=report.outcome))

    def pytest_sessionfinish(self) -> None:
        if self._path:
            Path(self._path).write_text(json.dumps([asdict(result) for result in self._results]))


def rows(results: Iterable[Result]) -> list[Row]:
    """Return one row for each library, in the order of the table. Claims are in the order of the tests."""
    found: dict[str, Row] = {}
    for result in sorted(results, key=lambda result: (result.file, result.line, result.hub)):
        name = next(iter(result.libraries))
        found.setdefault(name, Row(result.area, {})).add(result)

    def place(row: Row) -> tuple[int, str, str]:
        known = AREAS.index(row.area) if row.area in AREAS else len(AREAS)
        return known, row.area, next(iter(row.libraries)).lower()

    return sorted(found.values(), key=place)


def markdown(table: list[Row]) -> str:
    """Return the tables of docs/libraries.md, one for each area."""
    parts: list[str] = []
    area = None
    for row in table:
        if row.area != area:
            area = row.area
            parts += ["", f"## {area}", "", "| Library | gevent | eventlet | Tested | Notes |",
                      "| --- | --- | --- | --- | --- |"]
        libraries = ", ".join(f"{name} {number}" for name, number in row.libraries.items())
        parts.append(f"| {libraries} | {row.cell('gevent')} | {row.cell('eventlet')} | {' '.join(row.claims)} | "
                     f"{' '.join(row.notes)} |")
    return "\n".join(parts).strip() + "\n"


def read(path: Path) -> list[Result]:
    """Return the results that the plugin has written."""
    return [Result(**item) for item in json.loads(path.read_text())]
