"""Run gworkers and its peers side by side, print tables, draw a chart.

  throughput   requests/s and latency of every server under every workload (the default)
  memory       bytes that an idle connection costs
  idle-rate    requests/s with thousands of idle connections open, as a ratio to none
  boot         what the checks at start add to a worker's boot
  reload       requests that are lost, and how long they wait, while servers are reloaded, upgraded and recycled
  reload-leaks what 100 reloads under load leak in the master
  soak         well-behaved clients beside hostile ones, 30 minutes on each hub: lost requests, leaked resources
  stop         how long a server takes to stop, with 1,000 idle connections and after its last request
  show         print and draw again what an earlier throughput run saved

Each server runs on one processor and the load on another. In every round each server is started, warmed
up, measured and stopped in turn, so a change in the machine's speed affects all of them. The tables show medians,
and the ratios are medians of the rounds' ratios. Needs Python 3.10 or newer and, for throughput and
idle-rate, wrk; everything else is installed into .benchmarks/ in the project, one virtual environment for each server.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from . import boot, environments, idle, idle_rate, load, memory, reload, reload_leaks, report, soak, stop, table
from .deployment import TRANSPORTS
from .measurement import Plan, Processors, measure
from .peers import PEERS, ROOT, Peer
from .scenarios import SCENARIOS
from .workloads import WORKLOADS, Workload

WARM_UP = 1
"""Seconds of load before each reading."""
CHART = ("matplotlib>=3.9",)
IDLE_SERVERS = ("gworkers-gevent", "gworkers-eventlet", "gunicorn-gevent")
"""The servers that memory, idle-rate and stop measure by default: those for many idle connections."""

Named = TypeVar("Named")


def main() -> int:
    options = arguments()
    if options.list:
        show_names()
        return 0
    try:
        return COMMANDS[options.command](options)
    except (load.WrkMissing, idle.TooManyFiles, memory.NotMeasurable) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("command", nargs="?", choices=COMMANDS, default="throughput")
    option("--list", action="store_true", help="name the servers and the workloads")
    option("--servers", type=among(PEERS), metavar="NAME,...", help="(default: all; see --list)")
    option("--workloads", type=among(WORKLOADS), metavar="NAME,...", help="(default: all)")
    option("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    option("--seconds", type=int, default=3, metavar="S", help="of load for each reading (default: %(default)s)")
    option("--check", action="store_true", help="one round of one second: does everything run?")
    option("--connections", type=int, metavar="N", help="idle ones (default: memory 10000, idle-rate 8000, stop 1000)")
    option(
        "--baselines",
        type=among(PEERS),
        default="gunicorn-gevent,gunicorn-eventlet,granian,uwsgi",
        metavar="NAME,...",
        help="servers that the others are compared with (default: %(default)s)",
    )
    saved = environments.CACHE / "results.json"
    option("--json", type=Path, default=saved, metavar="FILE", help="(default: .benchmarks/results.json)")
    option("--chart", type=Path, metavar="FILE", help="draw the throughput as an SVG")
    option = parser.add_argument_group("reload, reload-leaks and soak").add_argument
    option("--scenarios", type=among(SCENARIOS), metavar="NAME,...", help="(default: all; see --list)")
    option("--hubs", "--hub", type=among({name: name for name in reload.HUBS}), default="gevent,eventlet",
           metavar="NAME,...", help="(default: %(default)s)")
    option("--transports", type=among({name: name for name in TRANSPORTS}), default=",".join(TRANSPORTS),
           metavar="NAME,...", help="(default: %(default)s)")
    option("--gunicorn", type=lambda text: text.split(","), default="27.0.1", metavar="RELEASE,...",
           help="under gworkers, e.g. 23.0.0,25.3.0; installed: as this Python has them (default: %(default)s)")
    option("--no-peers", action="store_true", help="measure gworkers only")
    option("--count", type=int, default=100, metavar="N", help="of reloads, for reload-leaks (default: %(default)s)")
    option("--minutes", type=float, default=30, metavar="N", help="on each hub, for soak (default: %(default)s)")
    options = parser.parse_args()
    if options.check:
        options.rounds = options.seconds = 1
    return options


def among(known: Mapping[str, Named]) -> Callable[[str], list[Named]]:
    def parse(text: str) -> list[Named]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is unknown; known are {', '.join(known)}")
        return [known[name] for name in text.split(",")]

    return parse


def show_names() -> None:
    print("servers")
    for peer in PEERS.values():
        print(f"  {peer.name:22}{peer.title}" + (f", {peer.remark}" if peer.remark else ""))
    print("scenarios")
    for scenario in SCENARIOS.values():
        print(f"  {scenario.name:22}{scenario.title}")
    print("workloads")
    for workload in WORKLOADS.values():
        print(f"  {workload.name:22}{workload.title}, {workload.connections} connections")


def processors() -> Processors:
    """The first processor for the server, the second for the load, of those that this process may use."""
    if not hasattr(os, "sched_setaffinity"):
        print("benchmarks: processes cannot be pinned to a processor on this system: expect noise", file=sys.stderr)
        return Processors(None, None)
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print("benchmarks: there is only one processor: the load slows the servers down", file=sys.stderr)
    return Processors(usable[0], usable[-1])


def servers(options: argparse.Namespace, default: Mapping[str, Peer]) -> list[Peer]:
    return options.servers or list(default.values())


def run_throughput(options: argparse.Namespace) -> int:
    load.find_wrk()
    workloads: list[Workload] = options.workloads or list(WORKLOADS.values())
    warm_up = 0 if options.check else WARM_UP
    plan = Plan(workloads, servers(options, PEERS), options.rounds, options.seconds, warm_up, processors())
    results = measure(plan)
    environments.cache()
    report.save(options.json, results, options.rounds, options.seconds)
    return run_show(options)


def run_show(options: argparse.Namespace) -> int:
    results = report.read(options.json)
    print(table.render(results, [peer.name for peer in options.baselines]))
    if options.chart:
        programs = environments.prepare("chart", CHART)
        command = [str(programs / "python"), "-m", "benchmarks.chart", str(options.json), str(options.chart)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return 1 if results.failures else 0


def idle_servers(options: argparse.Namespace) -> list[Peer]:
    return servers(options, {name: PEERS[name] for name in IDLE_SERVERS})


def run_memory(options: argparse.Namespace) -> int:
    return memory.main(idle_servers(options), options.connections or 10_000, processors())


def run_idle_rate(options: argparse.Namespace) -> int:
    load.find_wrk()
    count = options.connections or 8_000
    return idle_rate.main(idle_servers(options), count, options.rounds, options.seconds, processors())


def run_boot(options: argparse.Namespace) -> int:
    own = {name: peer for name, peer in PEERS.items() if peer.own}
    return boot.main(servers(options, own), options.rounds)


def run_reload(options: argparse.Namespace) -> int:
    scenarios = options.scenarios or list(SCENARIOS.values())
    servers = reload.servers(options.hubs, options.gunicorn, peers=not options.no_peers)
    return reload.main(scenarios, servers, options.transports)


def run_reload_leaks(options: argparse.Namespace) -> int:
    return reload_leaks.main(reload.servers(options.hubs, options.gunicorn, peers=not options.no_peers), options.count)


def run_soak(options: argparse.Namespace) -> int:
    return soak.main(soak.servers(options.hubs, options.gunicorn), options.minutes, processors())


def run_stop(options: argparse.Namespace) -> int:
    return stop.main(idle_servers(options), options.connections or 1_000, options.rounds, processors())


COMMANDS = {
    "throughput": run_throughput,
    "memory": run_memory,
    "idle-rate": run_idle_rate,
    "boot": run_boot,
    "reload": run_reload,
    "reload-leaks": run_reload_leaks,
    "soak": run_soak,
    "stop": run_stop,
    "show": run_show,
}

if __name__ == "__main__":
    sys.exit(main())
