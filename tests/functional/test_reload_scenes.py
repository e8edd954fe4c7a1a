"""The scenes of ``python -m benchmarks reload`` in a short form: clients under load lose no request."""

from __future__ import annotations

import asyncio
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import deployment
from benchmarks.deployment import CONFIGURATION, Engine
from benchmarks.scenes import SCENES, Scene, play
from support.launch import INSTALL_LOG_HANDLER, WORKERS

GUNICORN = Path(sysconfig.get_path("scripts")) / "gunicorn"
#: Limits: how often a scene is repeated, seconds in which its application loads, and the number of clients.
TIMES, LOAD, CLIENTS = 2, 1.0, 8


def short(scene: Scene) -> Scene:
    return replace(scene, times=min(scene.times, TIMES), load=min(scene.load, LOAD), clients=CLIENTS)


@pytest.mark.parametrize("scene", [short(scene) for scene in SCENES.values()], ids=list(SCENES))
@pytest.mark.sample(4)
def test_scene(hub: str, transport: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "CONFIGURATION", CONFIGURATION + INSTALL_LOG_HANDLER)
    # The scene itself waits until the new code answers, and until no process is left.
    outcome = asyncio.run(play(scene, Engine(GUNICORN, WORKERS[hub]), transport))
    said = "\n".join([*outcome.tally.incidents, *outcome.output])
    assert outcome.problem == "", said
    assert outcome.tally.flawless, said
    assert outcome.tally.ok
    assert outcome.stop is not None
