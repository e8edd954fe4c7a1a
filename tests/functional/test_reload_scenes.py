"""The scenes of ``python -m benchmarks reload`` in a short form: clients under load lose nothing, whatever is done."""

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
#: How often a scene is repeated and how many seconds its application takes to load, at most; how many clients ask.
TIMES, LOAD, CLIENTS = 2, 1.0, 8


def short(scene: Scene) -> Scene:
    return replace(scene, times=min(scene.times, TIMES), load=min(scene.load, LOAD), clients=CLIENTS)


@pytest.mark.parametrize("scene", [short(scene) for scene in SCENES.values()], ids=list(SCENES))
def test_scene(hub: str, transport: str, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "CONFIGURATION", CONFIGURATION + INSTALL_LOG_HANDLER)
    # That the new code answers, and that no process is left, are what the scene itself waits for.
    outcome = asyncio.run(play(scene, Engine(GUNICORN, WORKERS[hub]), transport))
    said = "\n".join([*outcome.tally.incidents, *outcome.output])
    assert outcome.problem == "", said
    assert outcome.tally.flawless, said
    assert outcome.tally.ok
    assert outcome.stop is not None
