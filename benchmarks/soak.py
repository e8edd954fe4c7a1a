"""Well-behaved clients beside hostile load of all kinds, for a long time: lost requests and leaked resources."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from . import environments, hostile, reload, soak_report
from .checking_clients import CheckingClients, Record
from .clients import Address
from .deployment import ConditionNotMet
from .measurement import Processors, progress
from .memory import NotMeasurable
from .reload import INSTALLED, Served, engines
from .resources import Resources, measure_resources
from .server import Server, ServerFailed, free_port

WORKERS = 2
"""As in apps/soak_config.py."""
FLASK_SOCK = "flask-sock==0.7.0"
RELOAD_INTERVAL = 60.0
"""Seconds between two reloads, at most."""
AGE = 60.0
"""Seconds, at most, that workers are under the whole load before the first measurement."""
SETTLE = 21.0
"""Seconds, at most, from the end of the hostile load to a measurement: idle request greenlets are kept for up to
20 s."""
POLL = 3.0
"""Seconds between two measurements while the server settles."""


@dataclass(frozen=True)
class Plan:
    """How the duration of the hostile load is divided.

    ::

        aging | reload phase | aging | steady phase
              ^                      ^             ^
            begin                 middle          end

    A snapshot is taken at each of the three times, without hostile load. The workers of the first two snapshots have
    the same age, but are different ones. The workers of the last two are the same.
    """

    aging: float
    reload_phase: float
    steady_phase: float
    interval: float
    """Between two reloads."""

    @classmethod
    def of(cls, seconds: float) -> Plan:
        aging = min(AGE, seconds / 6)
        steady_phase = seconds / 3
        reload_phase = seconds - 2 * aging - steady_phase
        return cls(aging, reload_phase, steady_phase, min(RELOAD_INTERVAL, reload_phase / 2))


@dataclass
class Outcome:
    records: dict[str, Record]
    """By kind of client."""
    reports: list[hostile.Report] = field(default_factory=list)
    snapshots: list[Resources] = field(default_factory=list)
    """Begin, middle, end."""
    reloads: int = 0
    stop: float | None = None
    """Seconds from TERM until no process was left."""
    problem: str = ""
    """The condition that was not met."""


def servers(hubs: Sequence[str], releases: Sequence[str]) -> list[Served]:
    """gworkers as in reload.py, with the further requirements of the application."""
    return [server if server.environment == INSTALLED else
            replace(server, environment=f"soak-{server.environment}", requirements=(*server.requirements, FLASK_SOCK))
            for server in reload.servers(hubs, releases, peers=False)]


def main(servers: Sequence[Served], minutes: float, processors: Processors) -> int:
    """Print the result of each of *servers*; 1 when one has exceeded a limit. Raises NotMeasurable."""
    if not Path("/proc/self/status").exists():
        raise NotMeasurable("the resources of processes are read from /proc/PID, which only Linux has")
    if processors.load is not None:
        os.sched_setaffinity(0, {processors.load})
    failures: list[str] = []
    for server, engine in engines(servers, failures).items():
        log = environments.cache() / "soak.log"
        command = [str(engine.gunicorn), "--config", "soak_config.py", "--worker-class", engine.worker_class]
        outcome = asyncio.run(soak(command, 60 * minutes, log, processors.server))
        progress("")
        found = soak_report.faults(outcome)
        print(f"{server.title}, {minutes:g} minutes, {outcome.reloads} reloads")
        print(soak_report.render(outcome), flush=True)
        failures += [f"{server.title}: {fault}" for fault in found]
        if found:
            print(f"The server's log is {log.rename(log.with_name(f'soak-{engine.worker_class}.log'))}")
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


async def soak(command: Sequence[str], seconds: float, log: Path, processor: int | None = None) -> Outcome:
    """Start a server with *command*, run the load for *seconds* and the measurements, and stop it."""
    plan = Plan.of(seconds)
    port = free_port()
    address = ("127.0.0.1", port)
    clients = CheckingClients(address)
    outcome = Outcome(clients.records)
    server = Server([*command, "--bind", f"127.0.0.1:{port}", "soak:app"], port, log, processor=processor)
    try:
        with server:
            async with clients:
                await run(plan, server, outcome)
            begun = monotonic()
            server.process.terminate()
            await asyncio.get_running_loop().run_in_executor(None, server.wait_for_exit)
            outcome.stop = monotonic() - begun
    except (ServerFailed, ConditionNotMet, RuntimeError) as error:
        outcome.problem = str(error)
    return outcome


async def run(plan: Plan, server: Server, outcome: Outcome) -> None:
    """Run the whole plan. Raises ConditionNotMet, and RuntimeError if there is no hostile load."""
    master, address = server.process.pid, ("127.0.0.1", server.port)

    async def attack(seconds: float) -> None:
        outcome.reports.append(await hostile.run(server.port, seconds))

    progress("aging")
    await attack(plan.aging)
    await asyncio.sleep(SETTLE)
    outcome.snapshots.append(await measure_resources(master, address, WORKERS))
    progress("reload phase")
    reloads = asyncio.create_task(reload_repeatedly(plan, master, outcome))
    await attack(plan.reload_phase + plan.aging)
    await reloads
    await measure_settled(master, address, outcome)
    progress("steady phase")
    await attack(plan.steady_phase)
    await measure_settled(master, address, outcome)


async def reload_repeatedly(plan: Plan, master: int, outcome: Outcome) -> None:
    for _ in range(int(plan.reload_phase / plan.interval)):
        await asyncio.sleep(plan.interval)
        os.kill(master, signal.SIGHUP)
        outcome.reloads += 1


async def measure_settled(master: int, address: Address, outcome: Outcome) -> None:
    """Add a measurement as soon as it equals the first one, or after SETTLE seconds. Raises ConditionNotMet."""
    deadline = monotonic() + SETTLE
    while True:
        found = await measure_resources(master, address, WORKERS)
        if monotonic() > deadline or not soak_report.growth_of_counts(outcome.snapshots[0], found):
            outcome.snapshots.append(found)
            return
        await asyncio.sleep(POLL)
