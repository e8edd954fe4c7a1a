"""One run of wrk against one server, and its result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .server import Server, ask, pin
from .workloads import Workload

MIB = 1024 * 1024
WAIT_LIMIT = 10
"""Seconds after which wrk counts a request as an error. Slow requests are visible in the p99, not in the errors."""

# A script without a request() of its own costs wrk nothing: the request is built once.
SCRIPT = """
{request}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nsummary {{"seconds": %f, "requests": %d, "bytes": %d, "p50": %f, "p99": %f, "max": %f, '
    .. '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\\n',
    summary.duration / 1e6, summary.requests, summary.bytes,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""


class WrkMissing(Exception):
    """wrk is not installed."""


class LoadFailed(Exception):
    """wrk did not report."""


@dataclass
class Reading:
    """One measurement."""

    rate: float
    """In the workload's unit."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds, of the requests that were answered; those that still wait at the end are not included."""
    busy: float
    """The share of time that wrk was on its processor. Near 1.0 wrk was the limit, not the server."""
    cost: float | None
    """Microseconds that the server's processes were on a processor for each unit of the rate. Other load on
    the machine changes the rate, but hardly this figure."""
    starved: bool
    """A new connection that sent a request during the run had no response at its end."""
    errors: dict[str, int] = field(default_factory=dict)
    """connect, read, write, timeout: of sockets; status: responses other than 2xx and 3xx."""


def find_wrk() -> str:
    """The path of wrk. Raises WrkMissing."""
    path = shutil.which("wrk")
    if path is None:
        raise WrkMissing(
            "wrk is not installed, and the load comes from it: apt install wrk, brew install wrk, "
            "or https://github.com/wg/wrk"
        )
    return path


def request(workload: Workload) -> str:
    lines = []
    if workload.upload:
        lines += ['wrk.method = "POST"', f'wrk.body = string.rep("x", {workload.upload})']
    if workload.close:
        lines.append('wrk.headers["Connection"] = "close"')
    return "\n".join(lines)


def run(workload: Workload, server: Server, seconds: int, processor: int | None) -> Reading:
    """Load *server* for *seconds*. Raises LoadFailed."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory, "load.lua")
        script.write_text(SCRIPT.format(request=request(workload)))
        command = [
            find_wrk(),
            *("--threads", "1", "--connections", str(workload.connections)),
            *("--duration", f"{seconds}s", "--timeout", f"{WAIT_LIMIT}s", "--script", str(script)),
            f"http://127.0.0.1:{server.port}/",
        ]
        spent = server.processor_time()
        before = os.times()
        wrk = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=pin(processor),
        )
        probe = StarvationProbe(server.port, seconds)
        output, _ = wrk.communicate()
        starved = not probe.answered()
        after = os.times()
        spent_after = server.processor_time()
    report = next((line for line in output.splitlines() if line.startswith("summary ")), None)
    if report is None:
        raise LoadFailed(f"{' '.join(command)}: {output.strip()[-500:]}")
    found = json.loads(report[len("summary ") :])
    used = after.children_user + after.children_system - before.children_user - before.children_system
    if workload.close:
        # If the response does not announce the close that wrk asked for, wrk counts it as a failed read.
        found["read"] -= min(found["read"], found["requests"])
    amount = found["bytes"] / MIB if workload.bulk else found["requests"]
    cost = None
    if spent is not None and spent_after is not None and amount:
        cost = (spent_after - spent) * 1e6 / amount
    return Reading(
        cost=cost,
        rate=amount / found["seconds"],
        p50=found["p50"],
        p99=found["p99"],
        busy=used / found["seconds"],
        starved=starved,
        errors={kind: found[kind] for kind in ("connect", "read", "write", "timeout", "status") if found[kind]},
    )


class StarvationProbe:
    """One more client, which connects while the server is busy and sends one request.

    wrk counts answered requests only. A server that serves some connections and neglects the others looks
    fast and has a low p99. The probe is one of the others.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(port, seconds), daemon=True)
        self._thread.start()

    def _ask(self, port: int, seconds: float) -> None:
        time.sleep(seconds * 0.25)
        try:
            if ask(port, seconds * 0.7):
                self._answered.set()
        except OSError:
            pass

    def answered(self) -> bool:
        return self._answered.is_set()
