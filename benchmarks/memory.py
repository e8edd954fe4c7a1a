"""What an idle keep-alive connection costs a server, in bytes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from . import environments
from .idle import Idle, allow
from .measurement import Processors, prepare
from .peers import Peer, Site
from .server import Server, ServerFailed, free_port, group

WARM_UP = 50
"""Connections that fill the server's caches before the first measurement."""
SETTLE = 1.0
"""Seconds between the last response and the measurement."""


class NotMeasurable(Exception):
    """This system does not report what a process's memory consists of."""


def main(peers: Sequence[Peer], count: int, processors: Processors) -> int:
    """Print the cost for each of *peers*; 1 when one failed or closed a connection. Raises NotMeasurable."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise NotMeasurable("memory is read from /proc/PID/smaps_rollup, which only Linux has")
    allow(count)
    failures: dict[str, str] = {}
    programs = prepare(peers, failures)
    print(f"bytes of memory for an idle connection, {count:,} of them (kernel buffers are not included)")
    for peer in peers:
        if peer.name in programs:
            try:
                cost, base, alive = measure(peer, programs[peer.name], count, processors)
            except (ServerFailed, OSError) as error:
                failures[peer.name] = str(error)
                continue
            lost = "" if alive == count else f"  CLOSED {count - alive}"
            print(f"  {peer.title:24}{cost:>9,.0f}  {base / 1024:6.1f} MiB without them{lost}", flush=True)
            if alive < count:
                failures[peer.name] = f"only {alive} of {count} connections were still served"
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    return 1 if failures else 0


def measure(peer: Peer, programs: Path, count: int, processors: Processors) -> tuple[float, int, int]:
    """Bytes for each connection, KiB of the server without them, and how many connections are still served."""
    site = Site(programs, free_port(), "hello", count)
    log = environments.cache() / "server.log"
    with Server(peer.command(site), site.port, log, processor=processors.server) as server:
        with Idle(site.port, WARM_UP):
            pass
        time.sleep(SETTLE)
        before = group_pss(server.process.pid)
        with Idle(site.port, count) as idle:
            time.sleep(SETTLE)
            after = group_pss(server.process.pid)
            return (after - before) * 1024 / count, before, idle.answering()


def group_pss(leader: int) -> int:
    """KiB of a process group's proportional set size: pages that n processes share count 1/n in each."""
    total = 0
    for process in group(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path("/proc", str(process), "smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total
