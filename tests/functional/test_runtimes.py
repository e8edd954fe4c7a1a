"""Real runtimes that a worker must refuse, each in its own virtual environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.doctor_run import DoctorRun
from support.paths import ROOT
from support.requirements import unavailable

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Packages that do not depend on greenlet.
BASE = ("gunicorn==23.0.0", "packaging")

#: interpreter, worker class, additional packages, and parts of the finding
RUNTIMES = {
    "greenlet-0.4.17": (
        "python3.9", "GeventWorker", ("greenlet==0.4.17",), ("greenlet 0.4.17", "greenlet>=1.0", "[greenlet-old]")),
    "greenlet-1.1.3": (
        "python3.9", "GeventWorker", ("--no-deps", "gevent==25.9.1", "greenlet==1.1.3"),
        ("gevent 25.9.1 and greenlet 1.1.3", "pip install --upgrade 'greenlet>=3.1.1'", "[library-incompatible]")),
    "without-gevent": (
        sys.executable, "GeventWorker", ("greenlet>=1.1.3",), ("pip install 'gworkers[gevent]'", "[library-missing]")),
    "without-eventlet": (
        sys.executable, "EventletWorker", ("greenlet>=1.1.3",),
        ("pip install 'gworkers[eventlet]'", "[library-missing]")),
    "without-greenlet": (
        sys.executable, "GeventWorker", (), ("greenlet is not installed", "pip install", "[greenlet-missing]")),
}


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="greenlet is part of PyPy")
@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.full
def test_unsuitable_runtime_is_refused(name: str, tmp_path: Path) -> None:
    interpreter, worker, packages, expected = RUNTIMES[name]
    python = shutil.which(interpreter)
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        unavailable(f"{interpreter} is not installed")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True, capture_output=True)
    programs = tmp_path / "venv" / "bin"
    pip = subprocess.run([programs / "pip", "install", "--quiet", *BASE, *packages], capture_output=True,
                         text=True, check=False)
    if pip.returncode:
        unavailable(f"pip cannot install {' '.join(packages)}: {pip.stderr.strip().splitlines()[-1]}")

    (tmp_path / "application.py").write_text("def app(environ, start_response): raise AssertionError\n")
    words = ["-k", f"gworkers.{worker}", "-b", "127.0.0.1:0", "application:app"]

    def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words], cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False, timeout=30)

    gunicorn = run(programs / "gunicorn")
    assert gunicorn.returncode == 1
    assert gunicorn.stdout == ""
    (line,) = filter(None, gunicorn.stderr.splitlines())
    for part in expected:
        assert part in line

    result = DoctorRun(run(programs / "python", "-m", "gworkers", "doctor", "--json"))
    findings = ["{problem}: {impact}. {fix} [{code}]".format_map(finding) for finding in result.findings]
    assert line == f"Error: {findings[0]}"
