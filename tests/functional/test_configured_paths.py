"""Configured paths that lead to a FIFO. The master must not wait for its peer, which would block signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import refuses_reload
from support.doctor_run import HUB, Run
from support.launch import WORKERS
from support.paths import ROOT
from support.server import Server
from support.startup import refusal
from support.waiting import WAIT_LIMIT, is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


# Certificates


@pytest.mark.parametrize("name", ["certfile", "ca_certs"])
def test_certificate_that_is_a_fifo_stops_the_start(start: Start, fifo: Path, name: str) -> None:
    own = ROOT / "pyproject.toml"
    options = ["--certfile", fifo] if name == "certfile" else ["--certfile", own, "--ca-certs", fifo]
    line = refusal(start("probe:app", *options, ready=False))
    assert f"{name} is '{fifo}': it cannot be read (it is a FIFO, not a regular file)" in line


def test_certificate_that_is_a_fifo_is_reported_by_doctor(run: Run, fifo: Path) -> None:
    result = run("doctor", "--json", "-k", WORKERS[HUB], "--certfile", str(fifo), "hello:app")
    assert "it is a FIFO" in result.finding("invalid-setting")["impact"]


def test_reload_with_a_certificate_that_is_a_fifo_is_refused(start: Start, fifo: Path) -> None:
    server = start("probe:app")
    good = (server.directory / "gunicorn.conf.py").read_text()
    refuses_reload(server, f"certfile = {str(fifo)!r}\n{good}")
    assert server.log(r"\[ERROR\] certfile .*it is a FIFO, not a regular file.*\[invalid-setting\]$")


# The configuration file


def test_configuration_from_a_fifo_is_read_once(start: Start, fifo: Path, hub: str) -> None:
    """gworkers must not read it again: no process writes to it any more."""
    server = start("probe:app", "-c", fifo, ready=False)
    text = (server.directory / "gunicorn.conf.py").read_text()
    fifo.write_text(f"keepalive = 5\n{text}")
    assert server.ready().connect().request().status == 200


# The pidfile


def held_by(pidfile: Path, pid: int) -> None:
    until(lambda: pidfile.exists() and pidfile.read_text() == f"{pid}\n", f"{pidfile} of {pid}")


def test_pidfile_moved_to_a_fifo_by_a_reload(start: Start, pidfile: Path, fifo: Path) -> None:
    server = start("probe:app", config=f"pidfile = {str(pidfile)!r}\n")
    (old,) = server.worker_pids()
    path = server.directory / "gunicorn.conf.py"
    path.write_text(f"{path.read_text()}pidfile = {str(fifo)!r}\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[ERROR\] The pidfile could not be created: .*it is a FIFO, not a regular file: '.*/fifo'")
    until_gone(old)
    held_by(pidfile, server.pid)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not pidfile.exists()


def test_pidfile_moved_away_from_a_fifo_by_a_reload(start: Start, pidfile: Path) -> None:
    server = start("probe:app", config=f"pidfile = {str(pidfile)!r}\n")
    pidfile.unlink()
    os.mkfifo(pidfile)
    other = pidfile.with_name("other")
    path = server.directory / "gunicorn.conf.py"
    path.write_text(f"{path.read_text()}pidfile = {str(other)!r}\n")
    server.signal(signal.SIGHUP)
    held_by(other, server.pid)
    assert pidfile.is_fifo()


def test_stop_with_a_fifo_in_place_of_the_pidfile(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile)
    pidfile.unlink()
    os.mkfifo(pidfile)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert pidfile.is_fifo()


def test_promotion_with_a_fifo_in_place_of_the_pidfile(start: Start, pidfile: Path) -> None:
    """The new master continues, and uses the name as soon as it is free."""
    server = start("probe:app", "--pid", pidfile)
    server.signal(signal.SIGUSR2)
    next_pidfile = pidfile.with_name("pid.2")
    until(next_pidfile.exists, "the next master's pidfile")
    new = int(next_pidfile.read_text())
    server.wait_for_log(r"^worker \d+ is ready$")
    try:
        pidfile.unlink()
        os.mkfifo(pidfile)
        server.signal(signal.SIGTERM)
        assert server.process.wait(WAIT_LIMIT) == 0
        server.wait_for_log(r"\[WARNING\] The pidfile could not be renamed: .*it is a FIFO")
        pidfile.unlink()
        held_by(pidfile, new)
        os.kill(new, signal.SIGTERM)
        until_gone(new)
        assert not pidfile.exists()
    finally:
        if is_alive(new):
            os.kill(new, signal.SIGKILL)
