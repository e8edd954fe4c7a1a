"""The resources of a server with several workers at one moment, from the system and from each worker."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from .deployment import Unmet
from .footprint import Footprint
from .keeper import Address, Broken, connect

PATIENCE = 20.0
"""Seconds until all workers must have reported."""


@dataclass(frozen=True)
class Look:
    """Sums over all workers, except the figures of the master."""

    workers: frozenset[int]
    """Their process ids."""
    processes: int
    """Number of processes: the master and its descendants."""
    master_memory: int
    """KiB of its resident set size."""
    master_descriptors: int
    memory: int
    """KiB of their resident set sizes."""
    descriptors: int
    greenlets: int
    connections: int
    """Open ones."""
    closed: int
    """Connections that are closed and have not been freed."""
    at: float = 0.0
    """Seconds, on a monotonic clock."""
    ran: float = 0.0
    """Seconds that they have been on a processor since they were started."""
    waited: float = 0.0
    """Seconds that they have been ready to run and were not on a processor, because others were."""


async def look(master: int, address: Address, workers: int) -> Look:
    """Measure a server with *workers* workers. Raises Unmet."""
    inside = await ask_each(address, workers)
    try:
        of_master = Footprint.of(master)
        of_workers = [Footprint.of(worker) for worker in inside]
        scheduled = [schedule(worker) for worker in inside]
    except OSError as error:
        raise Unmet(f"a measurement of a process, which has ended: {error}") from error
    return Look(
        workers=frozenset(inside),
        processes=of_master.processes,
        master_memory=of_master.memory,
        master_descriptors=of_master.descriptors,
        memory=sum(one.memory for one in of_workers),
        descriptors=sum(one.descriptors for one in of_workers),
        at=monotonic(),
        ran=sum(ran for ran, _ in scheduled),
        waited=sum(waited for _, waited in scheduled),
        **{name: sum(found[name] for found in inside.values()) for name in ("greenlets", "connections", "closed")},
    )


def schedule(process: int) -> tuple[float, float]:
    """Seconds that *process* has been on a processor, and that it has waited for one. Raises OSError."""
    # Nanoseconds, then how often; see sched-stats in the kernel's documentation.
    ran, waited, _ = Path("/proc", str(process), "schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


async def ask_each(address: Address, workers: int) -> dict[int, dict[str, int]]:
    """The report of each of *workers* workers, by process id. Raises Unmet."""
    heard: dict[int, dict[str, int]] = {}
    deadline = monotonic() + PATIENCE
    while len(heard) < workers:
        if monotonic() > deadline:
            raise Unmet(f"not in {PATIENCE:g} s: reports of all {workers} workers, not only of {list(heard)}")
        try:
            said = await asyncio.wait_for(ask(address, list(heard)), PATIENCE)
        except (OSError, Broken, asyncio.TimeoutError) as error:
            raise Unmet(f"the report of a worker: {error!r}") from error
        heard.setdefault(said["pid"], said)
    return heard


async def ask(address: Address, known: list[int]) -> dict[str, int]:
    """Return the report of the worker that accepts a new connection. Raises OSError and Broken."""
    query = ",".join(map(str, known)).encode()
    line = await connect(address)
    try:
        answer = await line.ask(b"GET /inside?%s HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n" % query)
    finally:
        line.close()
    if answer.status != 200:
        raise Broken(f"status {answer.status}")
    found: dict[str, int] = json.loads(answer.body)
    return found
