"""The scenarios of ``python -m benchmarks reload`` in a short form: clients under load lose no request."""

from __future__ import annotations

import asyncio
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import deployment
from benchmarks.deployment import CONFIGURATION, Engine
from benchmarks.scenarios import SCENARIOS, Scenario, run_scenario
from support.launch import INSTALL_LOG_HANDLER, WORKERS

GUNICORN = Path(sysconfig.get_path("scripts")) / "gunicorn"
#: Limits: how often a scenario is repeated, seconds in which its application loads, and the number of clients.
TIMES, LOAD, CLIENTS = 2, 1.0, 8


def short(scenario: Scenario) -> Scenario:
    return replace(scenario, times=min(scenario.times, TIMES), load=min(scenario.load, LOAD), clients=CLIENTS)


@pytest.mark.parametrize("scenario", [short(scenario) for scenario in SCENARIOS.values()], ids=list(SCENARIOS))
@pytest.mark.sample(4)
def test_scenario_loses_no_request(
        hub: str, transport: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "CONFIGURATION", CONFIGURATION + INSTALL_LOG_HANDLER)
    # The scenario waits until the new code serves, and until no process is left.
    outcome = asyncio.run(run_scenario(scenario, Engine(GUNICORN, WORKERS[hub]), transport))
    log_text = "\n".join([*outcome.tally.incidents, *outcome.output])
    assert outcome.problem == "", log_text
    assert outcome.tally.flawless, log_text
    assert outcome.tally.ok
    assert outcome.stop is not None
