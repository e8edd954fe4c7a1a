"""The results of the tests of libraries, and the table that they make."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
        libraries: names and versions of distributions.
        hub: "gevent", "eventlet" or "" for both.
        outcome: "passed", "failed" or "skipped".
    """

    area: str
    libraries: dict[str, str]
    claim: str
    note: str
    works: bool
    hub: str
    outcome: str


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
        """The worst outcome on that hub."""
        found = self.cells[hub]
        return next((outcome for outcome in ("failed", "skipped", "no", "yes") if outcome in found), "not tested")


class RecordResults:
    """A plugin for pytest that writes the results of tests with the mark ``library`` to a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._results: list[Result] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        given = dict(report.user_properties)
        # A test that fails in its setup or its teardown has another report.
        if "library" not in given or (report.when != "call" and report.outcome == "passed"):
            return
        names: list[str] = given["library"]  # type: ignore[assignment]
        libraries = {name: "not installed" if missing([name]) else version(name) for name in names}
        self._results.append(Result(
            area=str(given["area"]), libraries=libraries,
            claim=str(given["claim"]), note=str(given["note"]), works=bool(given["works"]), hub=str(given["hub"]),
            outcome=report.outcome))

    def pytest_sessionfinish(self) -> None:
        if self._path:
            Path(self._path).write_text(json.dumps([asdict(result) for result in self._results]))


def rows(results: Iterable[Result]) -> list[Row]:
    """Return one row for each library, in the order of the table."""
    found: dict[str, Row] = {}
    for result in sorted(results, key=lambda result: (result.claim, result.hub)):
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
