"""What users notice of a server that is reloaded, upgraded and recycled under load."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import environments
from .deployment import Engine
from .environments import EnvironmentFailed
from .measurement import progress
from .peers import GUNICORN, GWORKERS, PEERS
from .scenarios import Outcome, Scenario, run_scenario

HUBS = {"gevent": "gworkers.GeventWorker", "eventlet": "gworkers.EventletWorker"}
"""gworkers' worker classes."""
PEER_CLASSES = {"gunicorn-gevent": "gevent", "gunicorn-eventlet": "eventlet"}
"""Gunicorn's own worker classes, by the names of their peers."""
PEER_TRANSPORTS = ("tcp",)
"""Enough to compare with."""
INSTALLED = "installed"
"""Stands for the Gunicorn and the gworkers of the Python that runs this program."""

LONGEST_WAIT = 0.5
"""Seconds. The longest wait that is allowed while an application loads slowly."""
MILLISECONDS = 1000

COLUMNS = "{:14}{:11}{:27}{:>8}{:>6}{:>6}{:>8}{:>7}{:>8}{:>7}  {}"
HEAD = COLUMNS.format(*"scenario transport server ok lost raced refused non200".split(), "max ms", "stop s", "")
LEGEND = """\
ok, non200: responses. lost: no complete response. raced: the server closed a kept connection while a request was sent.
refused: a connection was not accepted. max: the longest wait for a response. stop: from TERM until no process
was left."""


@dataclass(frozen=True)
class Served:
    """A server of the table."""

    title: str
    worker_class: str
    environment: str
    """The name of its virtual environment."""
    requirements: tuple[str, ...]
    own: bool
    """Whether it is gworkers, which must not lose a request."""

    def engine(self) -> Engine:
        """What to start. Raises EnvironmentFailed."""
        if self.environment == INSTALLED:
            programs = Path(sysconfig.get_path("scripts"))
        else:
            programs = environments.prepare(self.environment, self.requirements)
        return Engine(programs / "gunicorn", self.worker_class)


def servers(hubs: Sequence[str], releases: Sequence[str], *, peers: bool) -> list[Served]:
    """gworkers on each of *hubs* and *releases* of Gunicorn, and the peers that it is compared with."""
    own = []
    for release in releases:
        gunicorn = f"gunicorn=={release}"
        environment = release if release == INSTALLED else "gworkers" if gunicorn == GUNICORN else f"gworkers-{release}"
        requirements = tuple(gunicorn if item == GUNICORN else item for item in GWORKERS)
        own += [Served(f"gworkers {hub}, {release}", HUBS[hub], environment, requirements, True) for hub in hubs]
    others = [PEERS[name] for name in PEER_CLASSES] if peers else []
    return own + [
        Served(peer.title, PEER_CLASSES[peer.name], peer.environment or peer.name, peer.requirements, False)
        for peer in others
    ]


def main(scenarios: Sequence[Scenario], servers: Sequence[Served], transports: Sequence[str]) -> int:
    """Print a row for each scenario, transport and server; 1 when gworkers lost a request or a server failed."""
    failures: list[str] = []
    installed = engines(servers, failures)
    print(HEAD.rstrip(), flush=True)
    for scenario in scenarios:
        for transport in transports:
            for server, engine in installed.items():
                if not server.own and (scenario.own or transport not in PEER_TRANSPORTS):
                    continue
                progress(f"{scenario.name} {transport} {server.title}")
                outcome = asyncio.run(run_scenario(scenario, engine, transport))
                progress("")
                print(row(scenario, transport, server, outcome), flush=True)
                if server.own:
                    where = f"{scenario.name} {transport} {server.title}"
                    failures += [f"{where}: {fault}" for fault in faults(scenario, outcome)]
    print(LEGEND)
    for scenario in scenarios:
        print(f"{scenario.name}: {scenario.title}")
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


def engines(servers: Sequence[Served], failures: list[str]) -> dict[Served, Engine]:
    """What to start for each of *servers*; those that cannot be installed are left out and named in *failures*."""
    found = {}
    for server in servers:
        try:
            found[server] = server.engine()
        except EnvironmentFailed as error:
            failures.append(f"{server.title}: {error}")
    return found


def row(scenario: Scenario, transport: str, server: Served, outcome: Outcome) -> str:
    tally = outcome.tally
    stop = "" if outcome.stop is None else f"{outcome.stop:.1f}"
    counts = (f"{count:,}" for count in (tally.ok, tally.lost, tally.raced, tally.refused, tally.non200))
    longest = f"{tally.longest * MILLISECONDS:,.0f}"
    return COLUMNS.format(scenario.name, transport, server.title, *counts, longest, stop, outcome.problem).rstrip()


def faults(scenario: Scenario, outcome: Outcome) -> list[str]:
    """The deviations from the expected result."""
    found = [*outcome.tally.incidents, *filter(None, [outcome.problem])]
    longest = outcome.tally.longest
    if scenario.load and longest >= LONGEST_WAIT:
        found.append(
            f"a request waited {longest * MILLISECONDS:,.0f} ms; the limit is {LONGEST_WAIT * MILLISECONDS:g} ms")
    return found
