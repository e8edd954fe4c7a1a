"""Runtimes that a worker must refuse, real ones: each in an environment of its own, made by pip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: What does not depend on greenlet.
BASE = ("gunicorn==23.0.0", "packaging")

#: interpreter, worker class, what is installed besides, and what the refusal says
RUNTIMES = {
    "greenlet-0.4.17": (
        "python3.9", "GeventWorker", ("greenlet==0.4.17",), ("greenlet 0.4.17", "greenlet>=1.0", "[greenlet-old]")),
    "greenlet-1.1.3": (
        "python3.9", "GeventWorker", ("--no-deps", "gevent==25.9.1", "greenlet==1.1.3"),
        ("gevent 25.9.1 and greenlet 1.1.3", "pip install --upgrade 'greenlet>=3.1.1'", "[library-clash]")),
    "without-gevent": (
        sys.executable, "GeventWorker", ("greenlet>=1.1.3",), ("pip install 'gworkers[gevent]'", "[library-missing]")),
    "without-eventlet": (
        sys.executable, "EventletWorker", ("greenlet>=1.1.3",),
        ("pip install 'gworkers[eventlet]'", "[library-missing]")),
    "without-greenlet": (
        sys.executable, "GeventWorker", (), ("greenlet is not installed", "pip install", "[greenlet-missing]")),
}


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy has its greenlet built in, and is not refused")
@pytest.mark.parametrize("name", RUNTIMES)
def test_refused(hub: str, name: str, tmp_path: Path) -> None:
    if hub != "gevent":
        pytest.skip("the hub is part of the runtime")
    interpreter, worker, packages, expected = RUNTIMES[name]
    python = shutil.which(interpreter)
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"{interpreter} is not installed")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True, capture_output=True)
    programs = tmp_path / "venv" / "bin"
    pip = subprocess.run([programs / "pip", "install", "--quiet", *BASE, *packages], capture_output=True,
                         text=True, check=False)
    if pip.returncode:
        pytest.skip(f"pip cannot install {' '.join(packages)}: {pip.stderr.strip().splitlines()[-1]}")

    (tmp_path / "application.py").write_text("def app(environ, start_response): raise AssertionError\n")
    gunicorn = subprocess.run(
        [programs / "gunicorn", "-k", f"gworkers.{worker}", "-b", "127.0.0.1:0", "application:app"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
        check=False, timeout=5)
    assert gunicorn.returncode != 0
    assert gunicorn.stdout == ""
    (line,) = filter(None, gunicorn.stderr.splitlines())
    for words in expected:
        assert words in line
