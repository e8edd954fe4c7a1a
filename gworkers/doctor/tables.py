"""The report as tables on a terminal. rich is an optional dependency."""
from __future__ import annotations

from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gworkers.doctor import plain_text
from gworkers.doctor.report import Report, Row
from gworkers.findings import Finding


def show(report: Report, file: IO[str]) -> None:
    """Write *report* to *file*: as tables with colours on a terminal, otherwise as plain text."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        plain_text.show(report, file)
        return
    console.print(Text(report.verdict, style=_style(report)))
    if report.shown_findings:
        console.print()
        console.print(Text("Findings", style="bold"))
        console.print(_findings(report.shown_findings))
    for title, rows in report.sections():
        console.print()
        console.print(Text(title, style="bold"))
        console.print(_grid(rows))


def _style(report: Report) -> str:
    if report.stops_worker:
        return "bold red"
    return "bold yellow" if report.shown_findings else "bold green"


def _findings(findings: list[Finding]) -> Table:
    table = Table(box=box.ROUNDED, show_header=False, show_lines=True)
    table.add_column(overflow="fold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            Text.assemble((finding.code, "bold red" if finding.fatal else "yellow"), "\n", (finding.kind, "dim")),
            Text.assemble((finding.problem, "bold"), "\n", ("Why: ", "dim"), finding.impact,
                          "\n", ("Fix: ", "dim"), (finding.fix, "green")))
    return table


def _grid(rows: list[Row]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.pad_edge = True
    for style in ("cyan", "", "dim")[:len(rows[0])]:
        grid.add_column(style=style, overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    return grid
