"""The report of ``gworkers doctor`` as tables. The only module that imports rich, which is an extra."""
from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gworkers.checks.findings import Finding
from gworkers.configured import Resolved
from gworkers.report import Report, spelled

#: As wide as it takes: who reads a pipe wants each text on one line, to search in and to copy from.
UNBOUNDED = 1_000_000


def show(report: Report, file: IO[str]) -> None:
    """Write *report* to *file*: with colours and lines on a terminal, as plain text elsewhere."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        _print(report, console)
        return
    text = io.StringIO()
    _print(report, Console(file=text, highlight=False, markup=False, emoji=False, width=UNBOUNDED))
    file.writelines(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _print(report: Report, console: Console) -> None:
    for title, table in (
        ("Versions", _facts(report.versions.items())),
        ("Worker", _facts((
            ("application", report.application), ("worker class", report.worker_class), ("hub", report.hub),
            ("loop backend", report.backend), ("resolver", report.resolver), ("HTTP parser", report.parser),
            ("patched", None if report.patched is None else spelled(report.patched)),
        ))),
        ("Settings of gworkers", _settings(report.settings)),
        ("Settings of Gunicorn that are not at their default", _settings(report.gunicorn)),
        ("Findings", _findings(report, console.is_terminal)),
    ):
        if table.row_count:
            console.print(Text(title, style="bold"))
            console.print(table)
            console.print()
    console.print(_verdict(report))


def _grid(*styles: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.pad_edge = True
    for style in styles:
        grid.add_column(style=style, overflow="fold")
    return grid


def _facts(facts: Iterable[tuple[str, str | None]]) -> Table:
    grid = _grid("cyan", "")
    for name, value in facts:
        grid.add_row(name, Text("-", style="dim") if value is None else Text(value))
    return grid


def _settings(settings: Mapping[str, Resolved]) -> Table:
    grid = _grid("cyan", "", "")
    for name, (value, origin) in settings.items():
        grid.add_row(name, Text(spelled(value)), Text(origin, style="dim" if origin == "default" else "yellow"))
    return grid


def _findings(report: Report, terminal: bool) -> Table:
    table = Table(box=box.ROUNDED if terminal else None, show_header=False, show_lines=terminal,
                  leading=0 if terminal else 1)
    table.add_column(overflow="fold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.findings:
        if not report.silenced(finding):
            table.add_row(_code(finding), _text(finding))
    return table


def _code(finding: Finding) -> Text:
    word, style = ("stops a worker", "bold red") if finding.fatal else ("warning", "yellow")
    return Text.assemble((finding.code, style), "\n", (word, "dim"))


def _text(finding: Finding) -> Text:
    return Text.assemble((finding.found, "bold"), "\n", ("Why: ", "dim"), finding.matters,
                         "\n", ("Mend: ", "dim"), (finding.mend, "green"))


def _verdict(report: Report) -> Text:
    shown = [finding for finding in report.findings if not report.silenced(finding)]
    fatal = sum(finding.fatal for finding in shown)
    warnings = _count(len(shown) - fatal, "warning")
    hushed = sorted({finding.code for finding in report.findings if report.silenced(finding)})
    silent = f" Silenced: {', '.join(hushed)}." if hushed else ""
    if fatal:
        return Text(f"A worker could not serve: {_count(fatal, 'reason')}, {warnings}.{silent}", style="bold red")
    if shown:
        return Text(f"A worker would serve: {warnings}.{silent}", style="bold yellow")
    return Text(f"A worker would serve: nothing is wrong.{silent}", style="bold green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
