"""Agents that are loaded when Python starts: which of them are reported, and the fixes that the findings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.agents import OFFLINE, agent_environment
from support.server import Server
from support.startup import findings

Start = Callable[..., Server]

APP = "import flask\napp = flask.Flask(__name__)\napp.get('/')(lambda: 'hello')\n"


@pytest.fixture
def start_with(start: Start, tmp_path: Path) -> Start:
    """``start_with(env)``: a server with a Flask application."""
    (tmp_path / "hello.py").write_text(APP)

    def start_with(env: dict[str, str], settings: dict[str, object] | None = None) -> Server:
        # ddtrace imports psycopg, and New Relic imports grpcio, if they are installed.
        settings = {"silence": "driver-blocks", **(settings or {})}
        server = start("hello:app", "--chdir", tmp_path, env=env, settings=settings)
        assert server.connect().request().body == b"hello"
        return server

    return start_with


@pytest.mark.library("opentelemetry-distro", "opentelemetry-instrumentation-flask", area="Monitoring",
                     note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_opentelemetry(start_with: Start, hub: str) -> None:
    """A worker loads it after the patch, and `opentelemetry-instrument` is reported with this fix."""
    loaded_early = agent_environment("opentelemetry-instrument")
    if hub == "gevent":
        assert findings(start_with(loaded_early)) == ["imported-at-startup"]
        patching = {"OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH": "patch_all"}
        assert findings(start_with(loaded_early | patching)) == []
    server = start_with(OFFLINE["opentelemetry-instrument"],
                        settings={"post_patch": "opentelemetry.instrumentation.auto_instrumentation:initialize"})
    assert findings(server) == []


@pytest.mark.library("newrelic", area="Monitoring",
                     note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_new_relic(start_with: Start) -> None:
    """A worker loads it after the patch, and `newrelic-admin run-program` is reported with this fix."""
    assert findings(start_with(agent_environment("newrelic-admin", "run-program"))) == ["imported-at-startup"]
    server = start_with(OFFLINE["newrelic-admin"], settings={"post_patch": "newrelic.agent:initialize"})
    assert findings(server) == []


@pytest.mark.library("ddtrace", area="Monitoring")
def test_ddtrace(start_with: Start) -> None:
    """`ddtrace-run` needs no change and is not reported."""
    assert findings(start_with(agent_environment("ddtrace-run"))) == []
