"""Modules that Python imports at its own start, as agents for traces do: the findings of a real Gunicorn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.checks.originals import LOCAL
from gworkers.hubs import HUBS
from support.broken_installs import at_start
from support.server import Server
from support.startup import findings

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: A module that keeps an object from before the patch if it is imported too early.
KEEPS = "import threading\nmine = threading.local()\n"
OPENTELEMETRY = "opentelemetry.instrumentation.auto_instrumentation"


def write_module(directory: Path, name: str, text: str) -> None:
    """Write the module *name*, with its packages."""
    for part in name.split(".")[:-1]:
        directory = directory / part
        directory.mkdir(exist_ok=True)
        (directory / "__init__.py").touch()
    (directory / f"{name.rpartition('.')[2]}.py").write_text(text)


def write_agent(directory: Path) -> None:
    """Write a stand-in for OpenTelemetry: initialize() imports what is to be traced."""
    write_module(directory, OPENTELEMETRY, "def initialize(*, swallow_exceptions=True):\n    import traced_library\n")
    write_module(directory, "traced_library", KEEPS)


def reported(server: Server) -> list[str]:
    return server.log(r"\[imported-at-startup\]$", since=0)


def test_sitecustomize_is_reported(start: Start, hub: str, tmp_path: Path) -> None:
    write_module(tmp_path, "early", KEEPS)
    write_module(tmp_path, "other", KEEPS)
    server = start("probe:app", env={"PYTHONPATH": at_start(tmp_path, "import early, other")})
    assert findings(server) == ["imported-at-startup"]
    (line,) = reported(server)
    assert ("sitecustomize or a .pth file has imported modules when Python started, before the patch: early keeps an "
            f"object of threading.local and 1 more: {LOCAL}. ") in line
    assert line.endswith(f"; or begin this file with: {HUBS[hub].master_patch_code} [imported-at-startup]")


def test_sitecustomize_that_patches_first_is_not_reported(start: Start, hub: str, tmp_path: Path) -> None:
    write_module(tmp_path, "early", KEEPS)
    patch = f"import warnings\nwarnings.simplefilter('ignore')\n{HUBS[hub].master_patch_code}\n"
    server = start("probe:app", env={"PYTHONPATH": at_start(tmp_path, f"{patch}import early")})
    assert findings(server) == []
    assert server.connect().request().status == 200


def test_agent_is_reported_with_its_own_fix(start: Start, hub: str, tmp_path: Path) -> None:
    write_agent(tmp_path)
    path = at_start(tmp_path, f"from {OPENTELEMETRY} import initialize\ninitialize()\n")
    server = start("probe:app", env={"PYTHONPATH": path})
    assert findings(server) == ["imported-at-startup"]
    (line,) = reported(server)
    assert "OpenTelemetry has imported modules when Python started, before the patch: traced_library keeps" in line
    assert ("EXPERIMENTAL_GEVENT_PATCH" in line) == (hub == "gevent")
    assert f"GWORKERS_POST_PATCH={OPENTELEMETRY}:initialize" in line


def test_agent_in_post_patch_is_not_reported(start: Start, tmp_path: Path) -> None:
    write_agent(tmp_path)
    server = start("probe:app", env={"PYTHONPATH": at_start(tmp_path, "")},
                   settings={"post_patch": f"{OPENTELEMETRY}:initialize"})
    assert findings(server) == []
    assert server.connect().request().status == 200


@pytest.mark.parametrize("module", [
    "ddtrace.internal.packages", "newrelic.core.agent", "opentelemetry.util._once", "wrapt.importer",
    "wrapt.synchronization"])
def test_harmless_module_of_an_agent_is_not_reported(start: Start, tmp_path: Path, module: str) -> None:
    write_module(tmp_path, module, "import threading\nfrom threading import Lock\nlock = threading.RLock()\n")
    server = start("probe:app", env={"PYTHONPATH": at_start(tmp_path, f"import {module}")})
    assert findings(server) == []
