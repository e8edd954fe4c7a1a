"""What operators do to a server in production, done here while clients send requests."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from .deployment import Deployment, Engine, Unmet
from .keeper import Keepers, Tally

CALM = 0.3
"""Seconds of load before and after."""


@dataclass(frozen=True)
class Scene:
    name: str
    title: str
    act: Callable[[Scene, Deployment, Keepers], Awaitable[None]]
    """Raises Unmet."""
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
    """Only gworkers has the feature of the scene."""


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


async def play(scene: Scene, engine: Engine, transport: str) -> Outcome:
    """Start a server, run clients and the scene, stop the server."""
    config = {"workers": scene.workers, **scene.config}
    deployment = Deployment(engine, transport, config, scene.environ, scene.load, scene.leak)
    tally, stop, problem = Tally(), None, ""
    try:
        async with deployment:
            async with Keepers(deployment.addresses[0], scene.clients) as keepers:
                tally = keepers.tally
                await asyncio.sleep(CALM)
                try:
                    await scene.act(scene, deployment, keepers)
                except Unmet as unmet:
                    problem = str(unmet)
                await asyncio.sleep(CALM)
            stop = await deployment.stop()
    except Unmet as unmet:
        problem = problem or str(unmet)
    return Outcome(tally, stop, problem, deployment.lines)


async def all_hear(version: bytes, deployment: Deployment, keepers: Keepers) -> None:
    """Wait until every client's last response is from that version of the application."""
    def heard() -> bool:
        return all(body.split()[:1] == [version] for body in keepers.heard())

    await deployment.until(heard, f"all clients hear {version.decode()}")


async def renew(deployment: Deployment, keepers: Keepers, workers: int) -> None:
    """Deploy a new version, send HUP, and wait for the workers that have it."""
    elders = deployment.workers
    version = deployment.deploy()
    deployment.signal(signal.SIGHUP)
    await deployment.renewed(elders, workers)
    await all_hear(version, deployment, keepers)


async def hup(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    for _ in range(scene.times):
        await renew(deployment, keepers, scene.workers)


async def broken(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    (before,) = {body.split()[0] for body in keepers.heard()}
    version = deployment.deploy(broken="raise RuntimeError('broken')")
    deployment.signal(signal.SIGHUP)
    await deployment.until(lambda: deployment.count(f"{version.decode()} is loaded") >= scene.workers,
                           "the broken version has been tried")
    await all_hear(before, deployment, keepers)
    await renew(deployment, keepers, scene.workers)


async def upgraded(scene: Scene, deployment: Deployment) -> int:
    """USR2; return the new master, whose workers serve."""
    deployment.signal(signal.SIGUSR2)
    await deployment.until(lambda: len(deployment.workers) == 2 * scene.workers, "the workers of a new master")
    (master,) = deployment.masters() - {deployment.master}
    return master


async def upgrade(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    for _ in range(scene.times):
        elders = deployment.workers
        version = deployment.deploy()
        master = await upgraded(scene, deployment)
        # Not WINCH, which has an effect on a daemon only.
        deployment.signal(signal.SIGTERM)
        deployment.master = master
        await deployment.renewed(elders, scene.workers)
        await all_hear(version, deployment, keepers)


def are_workers(deployment: Deployment, pids: set[int]) -> bool:
    return set(deployment.workers) == pids


def number_workers(deployment: Deployment, count: int) -> bool:
    return len(deployment.workers) == count


async def and_back(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    (before,) = {body.split()[0] for body in keepers.heard()}
    for _ in range(scene.times):
        elders = set(deployment.workers)
        deployment.deploy()
        deployment.signal(signal.SIGTERM, await upgraded(scene, deployment))
        await deployment.until(partial(are_workers, deployment, elders), "the new workers have gone")
        await all_hear(before, deployment, keepers)


async def more_and_fewer(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    count = scene.workers
    for number, change in [(signal.SIGTTIN, 1)] * (2 * scene.times) + [(signal.SIGTTOU, -1)] * (3 * scene.times):
        count += change
        deployment.signal(number)
        await deployment.until(partial(number_workers, deployment, count), f"{count} workers")


async def successors(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    """Wait until workers have been replaced."""
    wanted = scene.workers + scene.times
    await deployment.until(lambda: deployment.count(r"worker \d+ of \d+ has booted") >= wanted,
                           f"{scene.times} workers that follow others")


async def workers(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    for count in (4, 1):
        deployment.configure(workers=count)
        await renew(deployment, keepers, count)


async def bind(scene: Scene, deployment: Deployment, keepers: Keepers) -> None:
    deployment.configure(bind=[deployment.spelled(0), deployment.spelled(1)])
    await renew(deployment, keepers, scene.workers)
    await deployment.until_answers(1)
    deployment.configure(bind=[deployment.spelled(0)])
    await renew(deployment, keepers, scene.workers)
    await deployment.until_refuses(1)


SCENES = {
    scene.name: scene
    for scene in (
        Scene("hup", "HUP, four times", hup, times=4),
        Scene("hup-load", "HUP, 3 s load", hup, load=3),
        Scene("broken", "HUP with broken code, mended, HUP", broken),
        Scene("upgrade", "USR2, then TERM to the old master", upgrade),
        Scene("back", "USR2, then TERM to the new master", and_back),
        Scene("ttin", "TTIN and TTOU", more_and_fewer),
        Scene("max-requests", "max_requests 200", successors, times=10, config={"max_requests": 200}),
        Scene("jitter", "max_requests 200, jitter 100", successors, times=10,
              config={"max_requests": 200, "max_requests_jitter": 100}),
        Scene("max-rss", "max_rss, a leaking application", successors, times=4, leak=20_000,
              environ={"GWORKERS_MAX_RSS": str(160 * 2**20)}, own=True),
        Scene("max-load", "one worker, max_requests 200, 3 s load", successors, times=2, workers=1, load=3,
              config={"max_requests": 200}),
        Scene("workers", "workers 2, 4, 1 by HUP", workers),
        Scene("bind", "an address added, then removed by HUP", bind),
    )
}
