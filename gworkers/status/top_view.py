"""The state of a server as tables on a terminal, with rich, which is an optional dependency."""
from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gworkers.status.changes import Changes, in_flight, last_blocks, silence, worker_key
from gworkers.status.client import State
from gworkers.status.text import frames, notable_frame, number, per_second, printable, seconds, size

#: The symbols of a chart, from the least value to the greatest one.
BARS = "▁▂▃▄▅▆▇█"
#: The points of a chart.
POINTS = 60
#: The symbols of a worker's phases and of a request's states.
SHAPES = {"booting": "○", "ready": "●", "retiring": "◐", "draining": "◐",
          "running": "▶", "waiting": "○", "overdue": "▲"}
#: The columns of the table of workers, and those that a narrow terminal omits, the least important one first.
COLUMNS = ("No.", "State", "PID", "Gen.", "Age", "Memory", "Req/s", "In flight", "Overdue", "Conns", "Lag p99",
           "Lag max")
LESS_IMPORTANT = ("Conns", "Gen.", "Lag max", "Age", "Overdue", "Memory", "Lag p99", "Req/s", "PID",
                  "In flight")
#: The counters below those of the requests. Counters that are zero are omitted.
TOTALS = ("shed", "timed_out", "client_gone", "connections_refused", "blocks", "reloads", "failed_reloads",
          "failed_boots")


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


class Detail(NamedTuple):
    """How much of a state is shown."""

    #: the most requests in flight
    requests: int
    #: selects the frames of a stack
    frames: Callable[[str | None], list[str]]


#: For a terminal, whose lines are few.
BRIEF = Detail(requests=8, frames=notable_frame)
FULL = Detail(requests=1000, frames=frames)


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
        """Replace the content of the screen."""
        if view.charts is not None and not view.problem:
            view.charts.add(view.changes)
        self._live.update(render(view, BRIEF), refresh=True)


def console() -> Console:
    """Return a console for standard output."""
    return Console(highlight=False, markup=False, emoji=False)


def print_view(view: View, output: Console | None = None) -> None:
    """Print *view* with whole stacks."""
    (output or console()).print(render(view, FULL))


def render(view: View, detail: Detail) -> RenderableType:
    """Return *view* as a renderable of rich."""
    state = view.state
    parts: list[RenderableType] = [_header(view), _figures(view), _totals(state["totals"]), _Workers(view)]
    flying = in_flight(state)
    if flying:
        parts.append(_requests(flying, detail))
    if state["blocks"]:
        parts.append(_blocks(last_blocks(state), detail))
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
    changes, workers = view.changes, view.state["workers"]
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
    return grid


def _totals(totals: dict[str, Any]) -> Text:
    counts = {**{f"status {status}": count for status, count in totals["requests"].items()},
              **{name.replace("_", " "): totals[name] for name in TOTALS}}
    return Text.assemble(("Totals  ", "dim"), ",  ".join(f"{printable(name)}: {number(count)}"
                                                       for name, count in counts.items() if count))


def _table(title: str, columns: Iterable[tuple[str, str]]) -> Table:
    """Return an empty table. Each column has a name and a form: ``right``, ``left``, or ``fold`` for long texts."""
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
                  show_edge=False)
    for name, form in columns:
        table.add_column(name, justify="right" if form == "right" else "left", overflow="fold", no_wrap=form != "fold")
    return table


class _Workers(NamedTuple):
    """The table of the workers, without the least important columns if the terminal is narrow."""

    view: View

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for omitted in range(len(LESS_IMPORTANT) + 1):
            table = self._without(LESS_IMPORTANT[:omitted])
            if console.measure(table, options=options.update(max_width=1000)).maximum <= options.max_width:
                break
        yield table

    def _without(self, omitted: Sequence[str]) -> Table:
        rows = [self._row(worker) for worker in self.view.state["workers"]]
        names = [name for name in COLUMNS if name not in omitted]
        table = _table("Workers", [(name, "left" if name == "State" else "right") for name in names])
        for row in rows:
            table.add_row(*(row[name] for name in names))
        return table

    def _row(self, worker: dict[str, Any]) -> dict[str, Text]:
        lag = worker["lag"] or {}
        cells = (printable(worker["number"]), printable(worker["pid"]), number(worker["generation"]),
                 seconds(worker["age"]), size(worker["rss"]),
                 per_second(self.view.changes.worker_rates.get(worker_key(worker))), number(worker["in_flight"]),
                 number(worker["overdue"]), number((worker["connections"] or {}).get("open")),
                 seconds(lag.get("p99")), seconds(lag.get("max")))
        return dict(zip(COLUMNS, (Text(cells[0]), _worker_state(worker), *map(Text, cells[1:]))))


def _worker_state(worker: dict[str, Any]) -> Text:
    phase = printable(worker["phase"])
    if worker["blocked"]:
        return Text(f"■ {phase}, blocked for {seconds(worker['blocked'])}", style="bold red")
    if silence(worker):
        return Text(f"▲ {phase}, no report for {seconds(silence(worker))}", style="bold red")
    return Text(f"{SHAPES.get(phase, '○')} {phase}")


def _requests(requests: list[dict[str, Any]], detail: Detail) -> Table:
    shown = requests[:detail.requests]
    title = f"Requests in flight, the oldest {len(shown)} of {len(requests)}" if len(shown) < len(requests) else \
        f"Requests in flight, the oldest first: {len(requests)}"
    table = _table(title, (
        ("Age", "right"), ("State", "left"), ("Worker", "right"), ("Request and stack", "fold")))
    for request in shown:
        state = printable(request["state"])
        line = printable(f"{request['method']} {request['path']} from {request['peer']}")
        lines = [line, *_indented(detail.frames(request["stack"]))]
        table.add_row(
            Text(seconds(request["age"])),
            Text(f"{SHAPES.get(state, '○')} {state}", style="bold red" if state == "overdue" else ""),
            Text(printable(request["worker"]["number"])), Text("\n".join(lines)))
    return table


def _blocks(blocks: list[dict[str, Any]], detail: Detail) -> Table:
    table = _table("Last blocks of the hub", (
        ("At", "left"), ("For", "right"), ("Worker", "right"), ("Request and stack", "fold")))
    for block in blocks:
        stack = _indented(detail.frames(block["stack"]) or [printable(block["place"])])
        table.add_row(Text(_clock(block["at"])), _block_time(block), Text(printable(block["worker"])),
                      Text("\n".join([printable(block["request"] or "no request"), *stack])))
    return table


def _block_time(block: dict[str, Any]) -> Text:
    text = seconds(block["seconds"])
    return Text(f"{text}, not ended", style="bold red") if block["lasts"] else Text(text)


def _reloads(reloads: list[dict[str, Any]]) -> Table:
    table = _table("Last reloads", (("At", "left"), ("Outcome", "left"), ("Generation", "right"), ("Took", "right")))
    for reload in sorted(reloads, key=lambda reload: -reload["at"]):
        done = reload["outcome"] == "done"
        table.add_row(Text(_clock(reload["at"])),
                      Text(f"{'✓' if done else '✗'} {printable(reload['outcome'])}", style="" if done else "bold red"),
                      Text(number(reload["generation"])), Text(seconds(reload["seconds"])))
    return table


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _clock(unix: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(unix))
