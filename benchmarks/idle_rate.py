"""What thousands of idle connections cost the busy connections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from . import environments, load
from .idle import Idle, allow
from .load import Reading
from .measurement import Processors, prepare
from .peers import Peer, Site
from .server import Server, ServerFailed, free_port
from .workloads import WORKLOADS

WARM_UP = 1
"""Seconds of load before the first reading."""
HELLO = WORKLOADS["hello"]


def main(peers: Sequence[Peer], count: int, rounds: int, seconds: int, processors: Processors) -> int:
    """Print the rate with *count* idle connections to the rate with none; 1 when a server failed."""
    allow(count + HELLO.connections)
    failures: dict[str, str] = {}
    programs = prepare(peers, failures)
    readings: dict[str, list[tuple[Reading, Reading]]] = {name: [] for name in programs}
    for _ in range(rounds):
        for peer in peers:
            if peer.name in programs:
                try:
                    pair = measure(peer, programs[peer.name], count, seconds, processors)
                except (ServerFailed, load.LoadFailed, OSError) as error:
                    failures[peer.name] = str(error)
                else:
                    readings[peer.name].append(pair)
    print(f"requests/s with {HELLO.connections} busy connections, and with {count:,} idle ones in addition")
    for peer in peers:
        pairs = readings.get(peer.name)
        if pairs:
            rates = [median(reading.rate for reading in column) for column in zip(*pairs)]
            ratio = median(with_idle.rate / without.rate for without, with_idle in pairs)
            costs = [median(reading.cost or 0 for reading in column) for column in zip(*pairs)]
            print(
                f"  {peer.title:24}{rates[0]:>9,.0f}{rates[1]:>9,.0f}  ratio {ratio:.2f}"
                f"   CPU us {costs[0]:.1f}, {costs[1]:.1f}"
            )
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    return 1 if failures else 0


def measure(peer: Peer, programs: Path, count: int, seconds: int, processors: Processors) -> tuple[Reading, Reading]:
    """The readings of one server without and with the idle connections.

    Raises ServerFailed when a run has errors or an idle connection was closed, because the rate would then be wrong.
    """
    site = Site(programs, free_port(), HELLO.app, count + HELLO.connections)
    log = environments.cache() / "server.log"
    with Server(peer.command(site), site.port, log, processor=processors.server) as server:
        load.run(HELLO, server, WARM_UP, processors.load)
        without = load.run(HELLO, server, seconds, processors.load)
        with Idle(site.port, count) as idle:
            with_idle = load.run(HELLO, server, seconds, processors.load)
            alive = idle.answering()
    if alive < count:
        raise ServerFailed(f"only {alive} of {count} idle connections were still served after the run")
    errors = {**without.errors, **with_idle.errors}
    if errors:
        raise ServerFailed(f"errors during the run: {errors}")
    return without, with_idle
