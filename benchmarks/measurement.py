"""The rounds: every server in turn, repeatedly, and the summary of the readings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from . import environments, load
from .load import Reading
from .peers import Peer, Site
from .server import Server, ServerFailed, free_port
from .workloads import Workload

FILE_SIZE = 50 * 1024 * 1024


@dataclass(frozen=True)
class Processors:
    """Where the server and the load run; None where a process cannot be pinned."""

    server: int | None
    load: int | None


@dataclass(frozen=True)
class Plan:
    workloads: Sequence[Workload]
    peers: Sequence[Peer]
    rounds: int
    seconds: int
    warm_up: int
    """Seconds of load before a reading."""
    processors: Processors


@dataclass
class Series:
    """The readings of one server under one workload, round by round; None where one failed."""

    readings: list[Reading | None]

    @property
    def good(self) -> list[Reading]:
        return [reading for reading in self.readings if reading is not None]

    def rate(self) -> float:
        return median(reading.rate for reading in self.good)

    def p50(self) -> float:
        return median(reading.p50 for reading in self.good)

    def p99(self) -> float:
        return median(reading.p99 for reading in self.good)

    def cost(self) -> float | None:
        costs = [reading.cost for reading in self.good if reading.cost is not None]
        return median(costs) if costs else None

    def ratio(self, other: Series) -> float | None:
        """The median of the rounds' ratios to *other*: both readings of a ratio are from one round."""
        ratios = [
            mine.rate / theirs.rate
            for mine, theirs in zip(self.readings, other.readings)
            if mine and theirs and theirs.rate
        ]
        return median(ratios) if ratios else None

    def errors(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for reading in self.good:
            for kind, count in reading.errors.items():
                total[kind] = total.get(kind, 0) + count
        return total

    def starved(self) -> int:
        return sum(reading.starved for reading in self.good)

    def busy(self) -> float:
        return median(reading.busy for reading in self.good)


@dataclass
class Results:
    series: dict[str, dict[str, Series]]
    """By workload, then by peer."""
    failures: dict[str, str]
    """By peer: why the peer, or one of its runs, is missing."""


def measure(plan: Plan) -> Results:
    """Run *plan*. A server that cannot be installed or started is left out and named in the failures."""
    results = Results({workload.name: {} for workload in plan.workloads}, {})
    programs = prepare(plan.peers, results.failures)
    for workload in plan.workloads:
        for number in range(plan.rounds):
            for peer in plan.peers:
                if peer.name not in programs:
                    continue
                progress(f"{workload.name} {number + 1}/{plan.rounds} {peer.name}")
                reading = None
                try:
                    reading = one(peer, programs[peer.name], workload, plan)
                except (ServerFailed, load.LoadFailed) as error:
                    results.failures[f"{peer.name}, {workload.name}"] = str(error)
                results.series[workload.name].setdefault(peer.name, Series([])).readings.append(reading)
    progress("")
    return results


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def prepare(peers: Iterable[Peer], failures: dict[str, str]) -> dict[str, Path]:
    programs = {}
    for peer in peers:
        try:
            programs[peer.name] = environments.prepare(peer.environment or peer.name, peer.requirements)
        except environments.EnvironmentFailed as error:
            failures[peer.name] = str(error)
    return programs


def one(peer: Peer, programs: Path, workload: Workload, plan: Plan) -> Reading:
    cache = environments.cache()
    access_log = cache / "access.log" if workload.access_log else None
    if access_log:
        access_log.unlink(missing_ok=True)
    site = Site(
        programs,
        free_port(),
        workload.app,
        workload.connections,
        workload.waiting,
        workload.close,
        access_log,
    )
    environ = {"BENCHMARK_FILE": str(large_file(cache))}
    with Server(peer.command(site), site.port, cache / "server.log", environ, plan.processors.server) as server:
        if plan.warm_up:
            load.run(workload, server, plan.warm_up, plan.processors.load)
        return load.run(workload, server, plan.seconds, plan.processors.load)


def large_file(cache: Path) -> Path:
    path = cache / "50MiB"
    if not path.exists() or path.stat().st_size != FILE_SIZE:
        path.write_bytes(bytes(range(256)) * (FILE_SIZE // 256))
    return path
