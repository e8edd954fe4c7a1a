"""What the checks add to the start of a worker, from the fork to the loaded application."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from .measurement import prepare
from .peers import Peer, Site
from .server import free_port

APPS = Path(__file__).parent / "apps"
WAIT_LIMIT = 20
"""Seconds for a server to start."""

#: Appended to the server's configuration: prints the worker's boot time, alternately with and without the checks.
TIMING_CONFIGURATION = """
import io, time
from gworkers.checks import application, configuration, drivers, patching
WITHOUT_CHECKS = {without_checks}
if WITHOUT_CHECKS:
    patching.check = lambda imported: []
    patching.modules_before_patch = lambda hub, parts: []
    application.check = lambda loaded, app: []
    configuration.other_patch_finding = lambda hub: None
    drivers.check = lambda library, known: []

def pre_fork(server, worker):
    server.forked = time.perf_counter()

def post_worker_init(worker):
    took = time.perf_counter() - forked.forked
    io.FileIO(1, "w", closefd=False).write(b"took %.6f\\n" % took)

def when_ready(server):
    global forked
    forked = server
"""


def main(peers: Sequence[Peer], rounds: int) -> int:
    """Print the milliseconds of the boot with and without the checks, for each of *peers* that has them."""
    failures: dict[str, str] = {}
    programs = prepare(peers, failures)
    print("milliseconds from the fork to the loaded Flask application: with the checks, without, difference")
    for peer in peers:
        if peer.name in programs:
            pairs = [tuple(boot_seconds(peer, programs[peer.name], without_checks=without) for without in (False, True))
                     for _ in range(rounds)]
            checked, unchecked = (1000 * median(column) for column in zip(*pairs))
            print(f"  {peer.title:24}{checked:>9.1f}{unchecked:>9.1f}{checked - unchecked:>9.1f}")
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    return 1 if failures else 0


def boot_seconds(peer: Peer, programs: Path, *, without_checks: bool) -> float:
    """Return the seconds that a worker of *peer* took to boot."""
    site = Site(programs, free_port(), "flask_hello", 100)
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "gunicorn.conf.py"
        config.write_text(TIMING_CONFIGURATION.format(without_checks=without_checks))
        command = [*peer.command(site), "--config", str(config)]
        process = subprocess.Popen(command, cwd=APPS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        watchdog = threading.Timer(WAIT_LIMIT, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("took "):
                    return float(line.split()[1])
        finally:
            watchdog.cancel()
            process.terminate()
            process.communicate()
    raise RuntimeError(f"{peer.title} did not start")
