"""Agents of monitoring services, which a command loads when Python starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.paths import APPS

#: By command: variables that keep an agent from looking for its servers.
OFFLINE = {
    "ddtrace-run": {
        "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false", "DD_TRACE_STARTUP_LOGS": "false",
    },
    "newrelic-admin": {
        "NEW_RELIC_DEVELOPER_MODE": "true", "NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_LOG": "stderr",
    },
    "opentelemetry-instrument": {
        "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    },
}


def agent_environment(*command: str, path: str = str(APPS)) -> dict[str, str]:
    """Return the variables that an agent's *command* adds to the environment of the program that it starts.

    :param path: the PYTHONPATH before
    """
    program = Path(sys.executable).with_name(command[0])
    offline = OFFLINE[command[0]]
    before = {**os.environ, **offline, "PYTHONPATH": path}
    output = subprocess.run([program, *command[1:], "env", "-0"], env=before, capture_output=True, check=True).stdout
    after = dict(entry.partition("=")[::2] for entry in output.decode().split("\0") if entry)
    return offline | {name: value for name, value in after.items() if before.get(name) != value}
