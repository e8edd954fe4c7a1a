"""What many reloads under load leave behind in a master."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .clients import Clients
from .deployment import ConditionNotMet, Deployment
from .footprint import Footprint
from .measurement import progress
from .memory import SETTLE, NotMeasurable
from .reload import Served, engines
from .scenarios import Outcome, Scenario, reload, run_scenario

WARM_UP = 5
"""Reloads before the first measurement, which fill caches."""
GROWTH = 2048
"""KiB that gworkers' master may have gained after all reloads; a leak in each reload would be more."""

COLUMNS = "{:27}{:>12}{:>14}{:>12}{:>12}{:>20}{:>8}{:>6}  {}"
HEAD = COLUMNS.format("server", "processes", "descriptors", "mappings", "/dev/shm", "RSS KiB", "ok", "bad", "")
LEGEND = """\
The master before and after. processes: all of the server. mappings: shared memory. /dev/shm: files of the whole
system. bad: requests that were lost, raced, refused or answered with another status than 200."""


@dataclass
class Survey:
    """The action of a scenario: it measures the master before and after the reloads."""

    before: Footprint | None = None
    after: Footprint | None = None

    async def __call__(self, scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
        await reload(replace(scenario, times=WARM_UP), deployment, clients)
        self.before = await self._measure(deployment)
        await reload(scenario, deployment, clients)
        self.after = await self._measure(deployment)

    async def _measure(self, deployment: Deployment) -> Footprint:
        await asyncio.sleep(SETTLE)
        try:
            return Footprint.of(deployment.master)
        except OSError as error:
            raise ConditionNotMet(f"a measurement of the master, which has ended: {error}") from error


def main(servers: Sequence[Served], count: int) -> int:
    """Print a row for each server; 1 when gworkers leaked something or a server failed. Raises NotMeasurable."""
    if not Path("/proc/self/maps").exists():
        raise NotMeasurable("the resources of a master are read from /proc/PID, which only Linux has")
    failures: list[str] = []
    print(f"{count:,} times HUP, each after the workers of the previous one have exited")
    print(HEAD.rstrip(), flush=True)
    for server, engine in engines(servers, failures).items():
        progress(server.title)
        survey = Survey()
        outcome = asyncio.run(run_scenario(leak_scenario(survey, count), engine, "tcp"))
        progress("")
        print(row(server, survey, outcome), flush=True)
        if server.own:
            failures += [f"{server.title}: {fault}" for fault in faults(survey, outcome)]
    print(LEGEND)
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


def leak_scenario(survey: Survey, count: int) -> Scenario:
    # With the control socket, which is on by default and has files of its own.
    control = {"control_socket_disable": False, "control_socket": "control"}
    return Scenario("reload-leaks", f"HUP, {count} times", survey, times=count, config=control)


def row(server: Served, survey: Survey, outcome: Outcome) -> str:
    snapshots = [snapshot for snapshot in (survey.before, survey.after) if snapshot]
    columns = zip(*(
        (f"{snapshot.processes}", f"{snapshot.descriptors}", f"{snapshot.mappings}", f"{len(snapshot.files)}",
         f"{snapshot.memory:,}") for snapshot in snapshots))
    shown = [" -> ".join(column) for column in columns] or [""] * 5
    tally = outcome.tally
    bad = tally.lost + tally.raced + tally.refused + tally.non200
    return COLUMNS.format(server.title, *shown, f"{tally.ok:,}", bad, outcome.problem).rstrip()


def faults(survey: Survey, outcome: Outcome) -> list[str]:
    """The deviations from the expected result."""
    found = [*outcome.tally.incidents, *filter(None, [outcome.problem])]
    if survey.before and survey.after:
        found += leaks(survey.before, survey.after)
    return found


def leaks(before: Footprint, after: Footprint) -> list[str]:
    """The resources of which *after* has more."""
    found = []
    for what in ("processes", "descriptors", "mappings"):
        earlier, later = getattr(before, what), getattr(after, what)
        if later > earlier:
            found.append(f"{what} grew from {earlier} to {later}")
    files = after.files - before.files
    if files:
        found.append(f"new files in /dev/shm, unless another program has created them: {', '.join(sorted(files))}")
    if after.memory - before.memory > GROWTH:
        found.append(f"memory grew from {before.memory:,} to {after.memory:,} KiB; the limit is {GROWTH:,} KiB more")
    return found
