"""The results as text."""

from __future__ import annotations

from collections.abc import Sequence

from .measurement import Results, Series
from .peers import PEERS, Peer
from .workloads import WORKLOADS

SATURATED = 0.95
LEGEND = """\
CPU us: processor time of the server for a request (or MiB); it says more than the rate on a busy machine.
STARVED: a new connection that asked once during the run was not answered before its end."""


def render(results: Results, baselines: Sequence[str]) -> str:
    """A table for each workload, best first, with every error, starvation and failure written under it."""
    parts = ["\n".join(section(workload, series, baselines)) for workload, series in results.series.items() if series]
    shown = {peer for series in results.series.values() for peer in series}
    parts.append("\n".join([LEGEND, *(remark(PEERS[peer]) for peer in PEERS if peer in shown)]))
    if results.failures:
        parts.append("\n".join(f"FAILED {who}: {why}" for who, why in results.failures.items()))
    return "\n\n".join(parts)


def remark(peer: Peer) -> str:
    return f"{peer.title}: {', '.join(peer.releases)}" + (f"; {peer.remark}" if peer.remark else "")


def section(name: str, series: dict[str, Series], baselines: Sequence[str]) -> list[str]:
    workload = WORKLOADS[name]
    known = [baseline for baseline in baselines if baseline in series and series[baseline].good]
    rows = [["", workload.unit, "p50 ms", "p99 ms", "CPU us", *(f"x {PEERS[b].title}" for b in known), ""]]
    ranked = sorted((item for item in series.items() if item[1].good), key=lambda item: item[1].rate(), reverse=True)
    for peer, its in ranked:
        ratios = [its.ratio(series[baseline]) for baseline in known]
        rows.append(
            [
                PEERS[peer].title,
                f"{its.rate():,.0f}",
                latency(its.p50()),
                latency(its.p99()),
                "" if its.cost() is None else f"{its.cost():,.1f}",
                *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
                "; ".join(marks(its)),
            ]
        )
    return [f"{workload.title} ({workload.connections} connections)", *align(rows)]


def marks(series: Series) -> list[str]:
    """Remarks that qualify a row."""
    found = [f"ERRORS {kind} {count}" for kind, count in series.errors().items()]
    if series.starved():
        found.append(f"STARVED a new connection in {series.starved()} of {len(series.good)} runs")
    if len(series.good) < len(series.readings):
        found.append(f"FAILED {len(series.readings) - len(series.good)} of {len(series.readings)} runs")
    if series.busy() > SATURATED:
        found.append("wrk was at its limit")
    return found


def latency(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds < 10 else f"{milliseconds:.0f}"


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1])]
        lines.append(("  " + "  ".join([*cells, row[-1]])).rstrip())
    return lines
