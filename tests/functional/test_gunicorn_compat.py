"""A Gunicorn that calls something by another name: the server serves, without the part that needs the name."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gworkers.gunicorn_differences import RELEASE
from gworkers.gunicorn_internals import NEEDS, Feature
from support.client import chunked, request
from support.doctor_run import Run
from support.masters import LONG
from support.server import Server
from support.waiting import until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Names without which a server serves. The others run with ``--matrix=full`` only.
SOME = (
    "gunicorn.arbiter:Arbiter.reload", "gunicorn.arbiter:Arbiter.stop(more)", "gunicorn.glogging:Logger.access",
    "gunicorn.http.message:Request.parse_headers",
)
#: The same for names without which no worker can serve.
SOME_VITAL = ("gunicorn.config:Config.keepalive", "gunicorn.workers.base:Worker")


#: Parts that are examined when they are used, not when a server starts.
USED_ALONE = {Feature.DOCTOR, Feature.SCRIPT}
#: Parts that run in the master.
OF_THE_MASTER = {Feature.MANAGED_RELOADS, Feature.OWN_SOCKETS, Feature.CONTROL_SERVER}


def targets() -> Iterator[tuple[str, Feature]]:
    for need in NEEDS:
        if need.since <= RELEASE < need.until:
            separator = "." if ":" in need.owner else ":"
            names = [*need.names.split(), *need.calls, *need.overrides]
            for name in names:
                if not name.startswith("__"):
                    yield f"{need.owner}{separator}{name}", need.feature
            for name in need.overrides:
                yield f"{need.owner}{separator}{name}(more)", need.feature


FEATURES: dict[str, set[Feature]] = {}
for target, feature in targets():
    FEATURES.setdefault(target, set()).add(feature)


def cases(chosen: tuple[str, ...], *, vital: bool) -> list[object]:
    """All names as test parameters; those that are not *chosen* run with ``--matrix=full`` only."""
    return [pytest.param(target, marks=() if target in chosen else pytest.mark.full)
            for target in sorted({*FEATURES, *chosen})
            if (Feature.SERVING in FEATURES.get(target, (Feature.SERVING,))) is vital
            and not FEATURES.get(target, {Feature.SERVING}) <= USED_ALONE]


#: Names of doctor whose absence stops workers first: they need attributes of the class, or inherit the name.
NEEDED_BY_WORKERS_TOO = (
    "gunicorn.app.wsgiapp:WSGIApplication.cfg", "gunicorn.app.wsgiapp:WSGIApplication.wsgi", "gunicorn.glogging:Logger",
)


def doctor_cases(*chosen: str) -> list[object]:
    return [pytest.param(target, marks=() if target in chosen else pytest.mark.full)
            for target in sorted({*FEATURES} - {*NEEDED_BY_WORKERS_TOO}) if FEATURES[target] == {Feature.DOCTOR}]


def findings(server: Server) -> list[str]:
    return server.log(r"\[gunicorn-incompatible\]", since=0)


def serves(server: Server, worker: int) -> None:
    """The worker answers requests of all kinds that take different ways."""
    client = server.connect()
    assert json.loads(client.request("/").body)["pid"] == worker
    client.send(request("/upload", method="POST", headers=["Content-Length: 4"], body=b"body"))
    assert client.receive().body == b"4"
    client.send(request("/upload", method="POST", headers=["Transfer-Encoding: chunked"],
                        body=chunked(b"bo", b"dy", trailers=["X-Trailer: value"])))
    assert client.receive().body == b"4"
    assert client.request(f"/file?file={__file__}").body == Path(__file__).read_bytes()
    client.send(b"GET /\r\n\r\n")
    assert client.receive().status == 400


def replaced(server: Server, worker: int) -> int:
    """Wait until a reload has replaced the worker; returns the new one."""
    until_gone(worker, limit=LONG)
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=2)
    (new,) = server.worker_pids()
    return new


@pytest.mark.parametrize("target", cases(SOME, vital=False))
def test_server_continues_without(start: Start, target: str) -> None:
    server = start("probe:app", "--access-logfile", "-", env={"TEST_RENAMED": target})
    states = [feature.state for feature in Feature if feature in FEATURES[target] - USED_ALONE]
    said = findings(server)
    assert len(said) == len(states), said
    assert all(f"[WARNING] {state} because Gunicorn" in line for state, line in zip(states, said))
    name = target.replace("(more)", "")
    assert all(re.search(rf"(has no|has other parameters of) {re.escape(name)}\b", line) for line in said)
    (worker,) = server.worker_pids()
    serves(server, worker)
    if FEATURES[target] & OF_THE_MASTER:
        server.signal(signal.SIGHUP)
        new = replaced(server, worker)
        serves(server, new)
        os.kill(new, signal.SIGKILL)
        server.wait_for_log(r"^worker \d+ is ready$", LONG, count=3)
        serves(server, *server.worker_pids())
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize("target", cases(SOME_VITAL, vital=True))
def test_server_does_not_start_without(start: Start, target: str) -> None:
    server = start("probe:app", env={"TEST_RENAMED": target}, ready=False)
    assert server.wait_for_exit() == 1
    (line,) = findings(server)
    assert line.startswith("Error: Workers cannot start because Gunicorn ")


SCRIPT = """
import gworkers
try:
    gworkers.serve("probe:app", bind="127.0.0.1:0")
except RuntimeError as error:
    print(error)
"""


@pytest.mark.only(hub="gevent")
@pytest.mark.parametrize("target", ["gunicorn.app.base:Application.chdir", "gunicorn.util:import_app"])
def test_script_does_not_start_without(run: Run, target: str) -> None:
    done = run(command=("-c", SCRIPT), env={"TEST_RENAMED": target})
    assert done.out.startswith("gworkers.serve() is off because Gunicorn ")
    assert done.out.count("\n") == 1


def test_configured_class_is_refused_without_a_traceback(start: Start) -> None:
    server = start("probe:app", ready=False, worker_class="from config", env={"TEST_RENAMED": SOME_VITAL[1]}, config="""
from gworkers import GeventWorker
class Own(GeventWorker):
    pass
worker_class = Own.configure(head_timeout=1)
""")
    assert server.wait_for_exit() == 1
    assert len(findings(server)) == 1


def test_tls_is_refused_without_gunicorns_context(start: Start) -> None:
    server = start("probe:app", "--certfile", "/dev/null", ready=False,
                   env={"TEST_RENAMED": "gunicorn.sock:ssl_context"})
    assert server.wait_for_exit() == 1
    (line,) = findings(server)
    assert line.startswith("Error: TLS is off because Gunicorn ")


def test_reload_does_not_repeat_the_warning(start: Start) -> None:
    server = start("probe:app", env={"TEST_RENAMED": "gunicorn.http.wsgi:FileWrapper"})
    (worker,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    replaced(server, worker)
    assert len(findings(server)) == 1


def test_warning_is_silenced(start: Start) -> None:
    server = start("probe:app", env={"TEST_RENAMED": SOME[0]}, settings={"silence": "gunicorn-incompatible"})
    assert findings(server) == []


def test_arbiter_stays_as_it_is_if_it_cannot_be_taken_over(start: Start) -> None:
    server = start("probe:app", config="""
def on_starting(server):
    from gworkers.master.generations import Generations
    Generations.begin = lambda self: self.unknown
""")
    (line,) = findings(server)
    assert "Managed reloads are off because Gunicorn" in line
    assert "has changed: AttributeError: " in line
    (worker,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    serves(server, replaced(server, worker))


@pytest.mark.parametrize("worker_class", ["sync", ""])
def test_hook_in_the_configuration_does_nothing(start: Start, worker_class: str) -> None:
    server = start("probe:app", worker_class=worker_class, env={"TEST_RENAMED": SOME[0]},
                   config="from gworkers.hooks import when_ready\n")
    assert len(findings(server)) == 1
    server.ask()


@pytest.mark.parametrize("silence", ["", "gunicorn-untested"])
def test_newer_release_is_a_warning(start: Start, silence: str) -> None:
    server = start("probe:app", settings={"silence": silence},
                   config="import gunicorn\ngunicorn.__version__ = '99.0.0'\n")
    said = server.log(r"\[WARNING\] Gunicorn 99\.0\.0 is newer than .* \[gunicorn-untested\]", since=0)
    assert len(said) == (0 if silence else 1)
    server.ask()


def test_doctor_shows_what_is_off(ask: Run) -> None:
    finding = ask(env={"TEST_RENAMED": SOME[0]}).finding("gunicorn-incompatible")
    assert finding["problem"].startswith("Managed reloads are off because Gunicorn ")


@pytest.mark.parametrize("target", [SOME_VITAL[1], *NEEDED_BY_WORKERS_TOO])
def test_doctor_refuses_what_cannot_serve(ask: Run, target: str) -> None:
    done = ask(env={"TEST_RENAMED": target})
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("gworkers doctor: Workers cannot start because Gunicorn ")


@pytest.mark.parametrize("target", doctor_cases("gunicorn.app.wsgiapp:WSGIApplication.init"))
def test_doctor_says_why_it_is_off(ask: Run, target: str) -> None:
    refusal = ask(env={"TEST_RENAMED": target}).refusal()
    assert refusal.startswith("gworkers doctor: The command doctor is off because Gunicorn ")
