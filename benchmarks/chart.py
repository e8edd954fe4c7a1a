"""The results as an SVG: ``python -m benchmarks.chart RESULTS SVG``.

Runs in its own virtual environment, because nothing else here needs matplotlib. The background is
transparent and the text is grey, so the file is readable on white and on black.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import report
from .measurement import Results, Series
from .peers import PEERS
from .workloads import WORKLOADS, Workload

OURS, OTHERS, TEXT = "#2da44e", "#8c9bab", "#7d8590"
BASELINE = "gunicorn-gevent"
COLUMNS = 4
ROW = 0.26
"""Inches for each bar."""


def draw(results: Results, path: Path) -> None:
    """Draw a panel for each workload and a bar for each server, in the same order in each panel."""
    workloads = [name for name, series in results.series.items() if any(its.good for its in series.values())]
    peers = [name for name in PEERS if any(name in results.series[workload] for workload in workloads)]
    columns = min(COLUMNS, len(workloads))
    rows = -(-len(workloads) // columns)
    mpl.rcParams.update(
        {
            # Text stays text: the file is small, and the reader's font is used.
            "svg.fonttype": "none",
            # The same results give the same file.
            "svg.hashsalt": "benchmarks",
            "font.family": "sans-serif",
            "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
            "font.size": 9,
            "text.color": TEXT,
        }
    )
    size = (1.7 + 2.5 * columns, rows * (0.55 + ROW * len(peers)) + 0.25)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(workloads) :]:
        panel.set_axis_off()
    marked = False
    for panel, name in zip(panels.flat, workloads):
        marked |= bars(panel, WORKLOADS[name], results.series[name], peers)
    notes = [f"(n x): times {PEERS[BASELINE].title}"] if BASELINE in peers else []
    notes += ["* had errors or left connections without an answer"] if marked else []
    figure.supxlabel(";  ".join(notes), fontsize=8, x=0.99, ha="right")
    figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})


def bars(panel: Axes, workload: Workload, series: dict[str, Series], peers: list[str]) -> bool:
    """Fill a panel; true if a bar is marked."""
    rates = [series[peer].rate() if peer in series and series[peer].good else 0.0 for peer in peers]
    drawn = panel.barh(
        range(len(peers)),
        rates,
        height=0.72,
        color=[OURS if ours(peer) else OTHERS for peer in peers],
    )
    labels = [label(series, peer) for peer in peers]
    panel.bar_label(drawn, labels, padding=3, fontsize=8)
    # Room at the right for the longest bar's number.
    panel.set_xlim(0, (max(rates) or 1) * 1.45)
    panel.set_yticks(range(len(peers)), [PEERS[peer].title for peer in peers])
    if not panel.yaxis_inverted():
        panel.invert_yaxis()
    panel.set_title(workload.title, loc="left", fontsize=9, fontweight="bold", pad=17)
    panel.annotate(
        workload.unit, (0, 1), xycoords="axes fraction", xytext=(0, 3), textcoords="offset points", fontsize=8
    )
    panel.tick_params(length=0, labelcolor=TEXT)
    panel.set_xticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    return any(map(doubtful, series.values()))


def label(series: dict[str, Series], peer: str) -> str:
    if peer not in series or not series[peer].good:
        return "none"
    its = series[peer]
    ratio = its.ratio(series[BASELINE]) if ours(peer) and BASELINE in series else None
    return f"{its.rate():,.0f}" + (f" ({ratio:.1f} x)" if ratio else "") + (" *" if doubtful(its) else "")


def ours(peer: str) -> bool:
    return peer.startswith("gworkers")


def doubtful(series: Series) -> bool:
    return bool(series.errors() or series.starved())


if __name__ == "__main__":
    draw(report.read(Path(sys.argv[1])), Path(sys.argv[2]))
