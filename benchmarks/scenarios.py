"""Operations on a server in production, done here while clients send requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from .clients import Clients, Tally
from .deployment import ConditionNotMet, Deployment, Engine

LEAD_TIME = 0.3
"""Seconds of load before and after."""


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    act: Callable[[Scenario, Deployment, Clients], Awaitable[None]]
    """Raises ConditionNotMet."""
    times: int = 1
    """How often it is done."""
    workers: int = 2
    load: float = 0.0
    """Seconds that the application takes to be imported."""
    leak: int = 0
    """Bytes that the application leaks in each request."""
    config: dict[str, object] = field(default_factory=dict)
    """For gunicorn.conf.py."""
    environ: dict[str, str] = field(default_factory=dict)
    clients: int = 32
    own: bool = False
    """Only gworkers has the feature of the scenario."""


@dataclass
class Outcome:
    tally: Tally
    stop: float | None
    """Seconds from TERM until no process was left."""
    problem: str
    """The condition that was not met; empty if all were met."""
    output: list[str]
    """What the server wrote."""

    @property
    def flawless(self) -> bool:
        return self.tally.flawless and not self.problem


async def run_scenario(scenario: Scenario, engine: Engine, transport: str) -> Outcome:
    """Start a server, run clients and the scenario, stop the server."""
    config = {"workers": scenario.workers, **scenario.config}
    deployment = Deployment(engine, transport, config, scenario.environ, scenario.load, scenario.leak)
    tally, stop, problem = Tally(), None, ""
    try:
        async with deployment:
            async with Clients(deployment.addresses[0], scenario.clients) as clients:
                tally = clients.tally
                await asyncio.sleep(LEAD_TIME)
                try:
                    await scenario.act(scenario, deployment, clients)
                except ConditionNotMet as error:
                    problem = str(error)
                await asyncio.sleep(LEAD_TIME)
            stop = await deployment.stop()
    except ConditionNotMet as error:
        problem = problem or str(error)
    return Outcome(tally, stop, problem, deployment.lines)


async def until_all_served_by(version: bytes, deployment: Deployment, clients: Clients) -> None:
    """Wait until every client's last response is from that version of the application."""
    def served() -> bool:
        return all(body.split()[:1] == [version] for body in clients.last_bodies())

    await deployment.until(served, f"all clients are served by {version.decode()}")


async def deploy_and_reload(deployment: Deployment, clients: Clients, workers: int) -> None:
    """Deploy a new version, send HUP, and wait for the workers that have it."""
    old_workers = deployment.workers
    version = deployment.deploy()
    deployment.signal(signal.SIGHUP)
    await deployment.until_replaced(old_workers, workers)
    await until_all_served_by(version, deployment, clients)


async def reload(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    for _ in range(scenario.times):
        await deploy_and_reload(deployment, clients, scenario.workers)


async def broken(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    (before,) = {body.split()[0] for body in clients.last_bodies()}
    version = deployment.deploy(broken="raise RuntimeError('broken')")
    deployment.signal(signal.SIGHUP)
    await deployment.until(lambda: deployment.count(f"{version.decode()} is loaded") >= scenario.workers,
                           "the broken version has been tried")
    await until_all_served_by(before, deployment, clients)
    await deploy_and_reload(deployment, clients, scenario.workers)


async def start_new_master(scenario: Scenario, deployment: Deployment) -> int:
    """USR2; return the new master, whose workers serve."""
    deployment.signal(signal.SIGUSR2)
    await deployment.until(lambda: len(deployment.workers) == 2 * scenario.workers, "the workers of a new master")
    (master,) = deployment.masters() - {deployment.master}
    return master


async def upgrade(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    for _ in range(scenario.times):
        old_workers = deployment.workers
        version = deployment.deploy()
        master = await start_new_master(scenario, deployment)
        # Not WINCH, which has an effect on a daemon only.
        deployment.signal(signal.SIGTERM)
        deployment.master = master
        await deployment.until_replaced(old_workers, scenario.workers)
        await until_all_served_by(version, deployment, clients)


def has_workers(deployment: Deployment, pids: set[int]) -> bool:
    return set(deployment.workers) == pids


def has_worker_count(deployment: Deployment, count: int) -> bool:
    return len(deployment.workers) == count


async def roll_back(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    (before,) = {body.split()[0] for body in clients.last_bodies()}
    for _ in range(scenario.times):
        old_workers = set(deployment.workers)
        deployment.deploy()
        deployment.signal(signal.SIGTERM, await start_new_master(scenario, deployment))
        await deployment.until(partial(has_workers, deployment, old_workers), "the new workers have gone")
        await until_all_served_by(before, deployment, clients)


async def scale(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    count = scenario.workers
    for number, change in [(signal.SIGTTIN, 1)] * (2 * scenario.times) + [(signal.SIGTTOU, -1)] * (3 * scenario.times):
        count += change
        deployment.signal(number)
        await deployment.until(partial(has_worker_count, deployment, count), f"{count} workers")


async def recycle(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    """Wait until workers have been replaced."""
    wanted = scenario.workers + scenario.times
    await deployment.until(lambda: deployment.count(r"worker \d+ of \d+ has booted") >= wanted,
                           f"{scenario.times} workers that replace others")


async def workers(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    for count in (4, 1):
        deployment.configure(workers=count)
        await deploy_and_reload(deployment, clients, count)


async def bind(scenario: Scenario, deployment: Deployment, clients: Clients) -> None:
    deployment.configure(bind=[deployment.bind_value(0), deployment.bind_value(1)])
    await deploy_and_reload(deployment, clients, scenario.workers)
    await deployment.until_answers(1)
    deployment.configure(bind=[deployment.bind_value(0)])
    await deploy_and_reload(deployment, clients, scenario.workers)
    await deployment.until_refuses(1)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("hup", "HUP, four times", reload, times=4),
        Scenario("hup-load", "HUP, 3 s load", reload, load=3),
        Scenario("broken", "HUP with broken code, then HUP with fixed code", broken),
        Scenario("upgrade", "USR2, then TERM to the old master", upgrade),
        Scenario("back", "USR2, then TERM to the new master", roll_back),
        Scenario("ttin", "TTIN and TTOU", scale),
        Scenario("max-requests", "max_requests 200", recycle, times=10, config={"max_requests": 200}),
        Scenario("jitter", "max_requests 200, jitter 100", recycle, times=10,
              config={"max_requests": 200, "max_requests_jitter": 100}),
        Scenario("max-rss", "max_rss, a leaking application", recycle, times=4, leak=20_000,
              environ={"GWORKERS_MAX_RSS": str(160 * 2**20)}, own=True),
        Scenario("max-load", "one worker, max_requests 200, 3 s load", recycle, times=2, workers=1, load=3,
              config={"max_requests": 200}),
        Scenario("workers", "workers 2, 4, 1 by HUP", workers),
        Scenario("bind", "an address added, then removed by HUP", bind),
    )
}
