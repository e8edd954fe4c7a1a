"""The report as plain text, without line breaks inside a text, for searching and copying."""
from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from gworkers.doctor.report import Report, Row

INDENT = "  "


def show(report: Report, file: IO[str]) -> None:
    """Write *report* to *file*."""
    file.writelines(f"{line.rstrip()}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield report.verdict
    if report.shown_findings:
        yield from ("", "Findings")
        for finding in report.shown_findings:
            yield ""
            yield from _aligned([(finding.code, finding.problem), (finding.kind, f"Why: {finding.impact}"),
                                 ("", f"Fix: {finding.fix}")])
    for title, rows in report.sections():
        yield from ("", title)
        yield from _aligned(rows)


def _aligned(rows: list[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield INDENT + INDENT.join(text.ljust(width) for text, width in zip(row, widths))
