"""The state of a server as tables on a terminal, with rich, which is an optional dependency."""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gworkers.status.changes import Changes, in_flight, silence, worker_key
from gworkers.status.client import State
from gworkers.status.figures import UNKNOWN, number, per_second, printable, seconds, size

#: The symbols of a chart, from the least value to the greatest one.
BARS = "▁▂▃▄▅▆▇█"
#: The points of a chart.
POINTS = 60
#: The symbols of a worker's phases and of a request's states.
SHAPES = {"booting": "○", "ready": "●", "retiring": "◐", "draining": "◐",
          "running": "▶", "waiting": "○", "overdue": "▲"}


class Charts:
    """The last minute of requests/s, request time and hub lag."""

    def __init__(self) -> None:
        self._values: list[deque[float]] = [deque(maxlen=POINTS) for _ in range(3)]

    def add(self, changes: Changes) -> None:
        """Add the figures of the last second."""
        for values, value in zip(self._values, (changes.rate, changes.time[1], changes.lag[1])):
            values.append(value or 0.0)

    def lines(self) -> list[str]:
        """Return one line of bars for each."""
        return ["".join(BARS[round(value / (max(values) or 1) * (len(BARS) - 1))] for value in values)
                for values in self._values]


class View(NamedTuple):
    """What to show."""

    state: State
    changes: Changes
    #: the charts of a continuous display
    charts: Charts | None = None
    #: why the state is old; empty if it is not
    problem: str = ""


class Screen:
    """The terminal's alternate screen, which shows one view after the other, until the context ends."""

    def __init__(self) -> None:
        self._live = Live(console=console(), screen=True, auto_refresh=False)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, view: View) -> None:
        """Replace the content of the screen. Of each stack only the innermost frame is shown."""
        if view.charts is not None and not view.problem:
            view.charts.add(view.changes)
        self._live.update(render(view, frames=1), refresh=True)


def console() -> Console:
    """Return a console for standard output."""
    return Console(highlight=False, markup=False, emoji=False)


def print_view(view: View, output: Console | None = None) -> None:
    """Print *view* with whole stacks."""
    (output or console()).print(render(view, frames=1000))


def render(view: View, frames: int) -> RenderableType:
    """Return *view* with this many frames of each stack."""
    state = view.state
    parts: list[RenderableType] = [_header(view), _figures(view), _workers(view)]
    flying = in_flight(state)
    if flying:
        parts.append(_requests(flying, frames))
    if state["blocks"]:
        parts.append(_blocks(state["blocks"], frames))
    if state["reloads"]:
        parts.append(_reloads(state["reloads"]))
    return Group(*parts)


def _header(view: View) -> Text:
    server = view.state["server"]
    text = Text.assemble(
        ("gworkers ", "bold"), printable(server["gworkers"]), (f"  {printable(server['state'])}", "bold"),
        f"  generation {server['generation']}  master {server['pid']}  up for "
        f"{seconds(server['now'] - server['started'])}  Gunicorn {printable(server['gunicorn'])}")
    if view.problem:
        text.append(f"\n! {printable(view.problem)}. The figures below are old.", "bold red")
    return text


def _figures(view: View) -> Table:
    changes, totals, workers = view.changes, view.state["totals"], view.state["workers"]
    charts = view.charts.lines() if view.charts else [""] * 3
    grid = Table.grid(padding=(0, 2))
    rows = [("Requests/s", per_second(changes.rate)),
            ("Request time", f"{seconds(changes.time[0])} median, {seconds(changes.time[1])} p99"),
            ("Hub lag", f"{seconds(changes.lag[0])} median, {seconds(changes.lag[1])} p99")]
    for (name, value), chart in zip(rows, charts):
        grid.add_row(Text(name, style="dim"), Text(value), Text(chart, style="cyan", no_wrap=True))
    grid.add_row(Text("In flight", style="dim"), Text(number(sum(each["in_flight"] or 0 for each in workers))))
    for queue in view.state["accept_queue"]:
        grid.add_row(Text("Accept queue", style="dim"), Text(f"{number(queue['length'])} of {number(queue['limit'])}"),
                     Text(printable(queue["address"])))
    statuses = "  ".join(f"{printable(status)} {number(count)}" for status, count in totals["requests"].items())
    counts = "  ".join(f"{name} {number(totals[key])}" for name, key in (
        ("shed", "shed"), ("timed out", "timed_out"), ("client gone", "client_gone"), ("blocks", "blocks"),
        ("reloads", "reloads"), ("failed reloads", "failed_reloads"), ("failed boots", "failed_boots")))
    grid.add_row(Text("Totals", style="dim"), Text(statuses), Text(counts))
    return grid


def _table(title: str, columns: Iterable[tuple[str, str]]) -> Table:
    """Return an empty table. Each column has a name and a justification; those of the last ones fold long texts."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in columns:
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold", no_wrap=side != "fold")
    return table


def _workers(view: View) -> Table:
    table = _table("Workers", (
        ("No.", "right"), ("State", "fold"), ("PID", "right"), ("Gen.", "right"), ("Age", "right"),
        ("Memory", "right"), ("Req/s", "right"), ("In flight", "right"), ("Overdue", "right"), ("Conns", "right"),
        ("Lag p99", "right"), ("max", "right")))
    for worker in view.state["workers"]:
        lag = worker["lag"] or {}
        cells = (number(worker["generation"]), seconds(worker["age"]), size(worker["rss"]),
                 per_second(view.changes.worker_rates.get(worker_key(worker))), number(worker["in_flight"]),
                 number(worker["overdue"]), number((worker["connections"] or {}).get("open")),
                 seconds(lag.get("p99")), seconds(lag.get("max")))
        table.add_row(Text(printable(worker["number"])), _worker_state(worker), Text(printable(worker["pid"])),
                      *map(Text, cells))
    return table


def _worker_state(worker: dict[str, Any]) -> Text:
    phase = printable(worker["phase"])
    if worker["blocked"]:
        return Text(f"■ {phase}, blocked for {seconds(worker['blocked'])}", style="bold red")
    if silence(worker):
        return Text(f"▲ {phase}, no report for {seconds(silence(worker))}", style="bold red")
    return Text(f"{SHAPES.get(phase, '○')} {phase}")


def _requests(requests: list[dict[str, Any]], frames: int) -> Table:
    table = _table(f"Requests in flight, the oldest first: {len(requests)}", (
        ("Age", "right"), ("State", ""), ("Worker", "right"), ("Request", "fold"), ("Peer", ""), ("Stack", "fold")))
    for request in requests:
        state = printable(request["state"])
        table.add_row(
            Text(seconds(request["age"])),
            Text(f"{SHAPES.get(state, '○')} {state}", style="bold red" if state == "overdue" else ""),
            Text(printable(request["worker"]["number"])), Text(printable(f"{request['method']} {request['path']}")),
            Text(printable(request["peer"])), _stack(request["stack"], frames))
    return table


def _blocks(blocks: list[dict[str, Any]], frames: int) -> Table:
    table = _table("Last blocks", (("At", ""), ("For", "right"), ("Worker", "right"), ("Place and request", "fold"),
                                   ("Stack", "fold")))
    for block in sorted(blocks, key=lambda block: -block["at"]):
        place = Text.assemble(printable(block["place"]), "\n", printable(block["request"] or UNKNOWN))
        table.add_row(Text(_clock(block["at"])), Text(seconds(block["seconds"])), Text(printable(block["worker"])),
                      place, _stack(block["stack"], frames))
    return table


def _reloads(reloads: list[dict[str, Any]]) -> Table:
    table = _table("Last reloads", (("At", ""), ("Outcome", ""), ("Generation", "right"), ("Took", "right")))
    for reload in sorted(reloads, key=lambda reload: -reload["at"]):
        done = reload["outcome"] == "done"
        table.add_row(Text(_clock(reload["at"])),
                      Text(f"{'✓' if done else '✗'} {printable(reload['outcome'])}", style="" if done else "bold red"),
                      Text(number(reload["generation"])), Text(seconds(reload["seconds"])))
    return table


def _stack(stack: str | None, frames: int) -> Text:
    """Return the innermost *frames* of a formatted stack. The first line of each frame begins with File."""
    kept: list[str] = []
    for line in reversed((stack or "").splitlines()):
        kept.insert(0, printable(line.strip() if frames == 1 else line))
        frames -= line.lstrip().startswith("File ")
        if not frames:
            break
    return Text("\n".join(kept) or UNKNOWN)


def _clock(unix: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(unix))
