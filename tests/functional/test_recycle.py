"""Workers that exceed max_requests or max_rss: each one serves until its successor is ready."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from support.deployment import Deployment
from support.launch import WORKERS
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

MEGABYTE = 1024 * 1024

#: Far more than a worker has at the start.
LIMIT = 200 * MEGABYTE

#: An application that allocates the given number of megabytes at each request to /grow.
GROWING = """
from app_support import answer
kept, inner = [], app
def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        kept.append(b"x" * int(environ["QUERY_STRING"]) * 1024 * 1024)
        return answer(start_response)
    return inner(environ, start_response)
"""


# max_requests


@pytest.mark.smoke
def test_max_requests_waits_for_a_successor_that_boots_slowly(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, "--max-requests", 20)
    (old,) = server.worker_pids()
    kept = server.connect()
    deployment.hold()
    with Load(server) as load:
        (new,) = deployment.booting(1, but={old})
        load.goes_on(100)
        assert set(load.pids) == {old}
        response = kept.request()
        assert (json.loads(response.body)["pid"], response.closes) == (old, False)
        deployment.let_go()
        load.answered_by(new)
        until(lambda: not is_alive(old), "the end of the old worker")
    assert not load.failures
    assert len(server.log(rf"Recycling the worker \(pid:{old}\): max_requests is reached \(20 served\)$")) == 1


def test_max_requests_loses_no_request(start: Start) -> None:
    server = start("probe:app", "--max-requests", 25, "--max-requests-jitter", 10, workers=2)
    with Load(server) as load:
        until(lambda: len(set(load.pids)) >= 6 or load.failures, "answers of six workers", 60)
    assert not load.failures
    assert len(server.worker_pids()) in (2, 3, 4)


def test_worker_keeps_serving_if_its_successor_cannot_boot(start: Start, deployment: Deployment) -> None:
    """It is the only one."""
    server = start("deployed:app", *deployment.options, "--max-requests", 20)
    (old,) = server.worker_pids()
    deployment.release("raise LookupError('deliberate')\n")
    with Load(server) as load:
        server.wait_for_log("A worker failed to boot.* The next attempt is in 2 s")
        server.expect_traceback("LookupError: deliberate")
        load.goes_on(50)
        assert set(load.pids) == {old}
        deployment.release()
        until(lambda: not is_alive(old), "the end of the old worker")
        load.goes_on()
    assert not load.failures


def test_reload_while_a_successor_boots(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, "--max-requests", 20)
    (old,) = server.worker_pids()
    deployment.hold()
    with Load(server) as load:
        (successor,) = deployment.booting(1, but={old})
        server.signal(signal.SIGHUP)
        (new,) = deployment.booting(1, but={old, successor})
        until(lambda: not is_alive(successor), "the end of the superfluous worker")
        load.goes_on(50)
        assert set(load.pids) == {old}
        deployment.let_go()
        load.answered_by(new)
        until(lambda: not is_alive(old), "the end of the old worker")
    assert not load.failures


def test_max_requests_with_an_arbiter_of_gunicorn(start: Start, hub: str) -> None:
    # The server starts with another worker class, so Gunicorn's own arbiter remains.
    server = start("probe:app", "--max-requests", 3, worker_class="from config", config="worker_class = 'sync'\n")
    path = server.directory / "gunicorn.conf.py"
    path.write_text(path.read_text().replace("'sync'", repr(WORKERS[hub])))
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the end of the old worker")
    (old,) = until(server.worker_pids, "a worker of this class")
    client = server.connect()
    assert [client.request().closes for _ in range(3)][:2] == [False, False]
    until(lambda: not is_alive(old), "the end of the worker at its limit")
    until(server.worker_pids, "another worker")
    assert server.ask()["pid"] != old


# max_rss


@pytest.mark.parametrize("where", ["environment", "configure"])
@pytest.mark.sample(1)
def test_max_rss(start: Start, deployment: Deployment, hub: str, where: str) -> None:
    deployment.release(GROWING)
    if where == "environment":
        server = start("deployed:app", *deployment.options, settings={"max_rss": LIMIT})
    else:
        name = WORKERS[hub].rpartition(".")[2]
        server = start("deployed:app", *deployment.options, worker_class="from config",
                       config=f"from gworkers import {name}\nworker_class = {name}.configure(max_rss={LIMIT})\n")
    (old,) = server.worker_pids()
    deployment.hold()
    with Load(server) as load:
        assert server.connect().request("/grow?250").status == 200
        (new,) = deployment.booting(1, but={old})
        load.goes_on(50)
        assert set(load.pids) == {old}
        deployment.let_go()
        load.answered_by(new)
        until(lambda: not is_alive(old), "the end of the old worker")
        load.goes_on()
    assert not load.failures
    assert len(server.log(rf"Recycling the worker \(pid:{old}\): max_rss is reached \(more than {LIMIT} bytes\)")) == 1
    assert len(deployment.boots()) == 2


@pytest.mark.full
def test_max_rss_jitter(start: Start, deployment: Deployment) -> None:
    deployment.release(GROWING)
    server = start("deployed:app", *deployment.options,
                   settings={"max_rss": LIMIT, "max_rss_jitter": 100 * MEGABYTE})
    for _ in range(2):
        assert server.connect().request("/grow?350").status == 200
        server.wait_for_log("Recycling the worker")
        (old,) = server.worker_pids()[:1]
        until_gone(old)
    limits = [int(line.rpartition("more than ")[2].split()[0]) for line in server.log("Recycling the worker")]
    assert len(set(limits)) == 2
    assert all(LIMIT <= limit <= LIMIT + 100 * MEGABYTE for limit in limits)


def test_max_rss_below_the_size_of_a_new_worker_is_not_applied(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, settings={"max_rss": MEGABYTE})
    server.wait_for_log(r"max_rss is 1048576 bytes, but the worker has \d+ before its first request: the limit ")
    with Load(server) as load:
        load.goes_on(200)
    assert not load.failures
    assert len(set(load.pids)) == 1
    assert len(deployment.boots()) == 1
    assert not server.log("Recycling")
