"""Agents that are loaded when Python starts: which of them are reported, and the fixes that the findings name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.paths import APPS
from support.server import Server
from support.startup import findings

Start = Callable[..., Server]

#: Keeps the agents from looking for their servers.
OFFLINE = {
    "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    "NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_LOG": "stderr",
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false", "DD_TRACE_STARTUP_LOGS": "false",
}
APP = "import flask\napp = flask.Flask(__name__)\napp.get('/')(lambda: 'hello')\n"


def environment(*command: str) -> dict[str, str]:
    """Return the variables that an agent's *command* adds to the environment of the program that it starts."""
    program = Path(sys.executable).with_name(command[0])
    before = {**os.environ, **OFFLINE, "PYTHONPATH": str(APPS)}
    output = subprocess.run([program, *command[1:], "env", "-0"], env=before, capture_output=True, check=True).stdout
    after = dict(entry.partition("=")[::2] for entry in output.decode().split("\0") if entry)
    return OFFLINE | {name: value for name, value in after.items() if before.get(name) != value}


@pytest.fixture
def start_with(start: Start, tmp_path: Path) -> Start:
    """``start_with(env)``: a server with a Flask application."""
    (tmp_path / "hello.py").write_text(APP)

    def start_with(env: dict[str, str], **more: object) -> Server:
        server = start("hello:app", "--chdir", tmp_path, env=OFFLINE | env, **more)
        assert server.connect().request().body == b"hello"
        return server

    return start_with


@pytest.mark.library("opentelemetry-distro", "opentelemetry-instrumentation-flask", area="Monitoring",
                     note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_opentelemetry(start_with: Start, hub: str) -> None:
    """A worker loads it after the patch, and `opentelemetry-instrument` is reported with this fix."""
    loaded_early = environment("opentelemetry-instrument")
    if hub == "gevent":
        assert findings(start_with(loaded_early)) == ["imported-at-startup"]
        patching = {"OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH": "patch_all"}
        assert findings(start_with(loaded_early | patching)) == []
    server = start_with({}, settings={"post_patch": "opentelemetry.instrumentation.auto_instrumentation:initialize"})
    assert findings(server) == []


@pytest.mark.library("newrelic", area="Monitoring",
                     note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_new_relic(start_with: Start) -> None:
    """A worker loads it after the patch, and `newrelic-admin run-program` is reported with this fix."""
    assert findings(start_with(environment("newrelic-admin", "run-program"))) == ["imported-at-startup"]
    assert findings(start_with({}, settings={"post_patch": "newrelic.agent:initialize"})) == []


@pytest.mark.library("ddtrace", area="Monitoring")
def test_ddtrace(start_with: Start) -> None:
    """`ddtrace-run` needs no change and is not reported."""
    assert findings(start_with(environment("ddtrace-run"))) == []
