"""The resources of a server with several workers at one moment, from the system and from each worker."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from .clients import Address, Broken, connect
from .deployment import ConditionNotMet
from .footprint import Footprint

WAIT_LIMIT = 20.0
"""Seconds until all workers must have reported."""


@dataclass(frozen=True)
class Resources:
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


async def measure_resources(master: int, address: Address, workers: int) -> Resources:
    """Measure a server with *workers* workers. Raises ConditionNotMet."""
    inside = await report_of_each(address, workers)
    try:
        of_master = Footprint.of(master)
        of_workers = [Footprint.of(worker) for worker in inside]
        scheduled = [schedule(worker) for worker in inside]
    except OSError as error:
        raise ConditionNotMet(f"a measurement of a process, which has ended: {error}") from error
    return Resources(
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


async def report_of_each(address: Address, workers: int) -> dict[int, dict[str, int]]:
    """The report of each of *workers* workers, by process id. Raises ConditionNotMet."""
    reports: dict[int, dict[str, int]] = {}
    deadline = monotonic() + WAIT_LIMIT
    while len(reports) < workers:
        if monotonic() > deadline:
            raise ConditionNotMet(f"not in {WAIT_LIMIT:g} s: reports of all {workers} workers, only of {list(reports)}")
        try:
            report = await asyncio.wait_for(ask(address, list(reports)), WAIT_LIMIT)
        except (OSError, Broken, asyncio.TimeoutError) as error:
            raise ConditionNotMet(f"the report of a worker: {error!r}") from error
        reports.setdefault(report["pid"], report)
    return reports


async def ask(address: Address, known: list[int]) -> dict[str, int]:
    """Return the report of the worker that accepts a new connection. Raises OSError and Broken."""
    query = ",".join(map(str, known)).encode()
    connection = await connect(address)
    try:
        response = await connection.send(b"GET /inside?%s HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n" % query)
    finally:
        connection.close()
    if response.status != 200:
        raise Broken(f"status {response.status}")
    found: dict[str, int] = json.loads(response.body)
    return found
