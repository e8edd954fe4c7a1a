"""A successful reload: the old generation serves until the new one is ready, and no request is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gworkers.hubs import HUBS
from support.client import Client
from support.deployment import Deployment
from support.held_request import HeldRequest
from support.load import Load
from support.server import Server
from support.waiting import is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def ask(client: Client) -> Any:
    response = client.request()
    assert response.status == 200
    return {**json.loads(response.body), "closes": response.closes}


@pytest.mark.smoke
def test_old_worker_serves_until_its_successor_is_ready(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    kept = server.connect()
    deployment.hold()
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        (new,) = deployment.booting(1, but={old})
        load.goes_on(50)
        assert set(load.pids) == {old}
        assert (ask(kept)["pid"], ask(kept)["closes"]) == (old, False)
        deployment.let_go()
        load.answered_by(new)
        until_gone(old)
        load.goes_on()
    assert not load.failures
    assert server.worker_pids() == [new]


@pytest.mark.smoke
def test_workers_are_replaced_one_by_one(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    old = server.worker_pids()
    deployment.hold()
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        first, second = sorted(deployment.booting(2, but=set(old)))
        deployment.let_go(second)
        load.answered_by(second)
        # One new worker is ready, so one old worker leaves. The other one stays.
        until(lambda: sum(map(is_alive, old)) == 1, "one old worker has left")
        load.goes_on(100)
        (staying,) = filter(is_alive, old)
        assert {staying, second} == set(load.pids[-50:])
        deployment.let_go(first)
        until_gone(*old)
        load.answered_by(first)
    assert not load.failures
    assert set(server.worker_pids()) == {first, second}


@pytest.mark.smoke
def test_second_reload_while_the_first_boots(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options, workers=2)
    old = set(server.worker_pids())
    deployment.hold()
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        superseded = deployment.booting(2, but=old)
        server.signal(signal.SIGHUP)
        until_gone(*superseded)
        new = deployment.booting(2, but=old | superseded)
        assert all(map(is_alive, old))
        load.goes_on(50)
        assert set(load.pids) <= old
        deployment.let_go()
        load.answered_by(*new)
        until_gone(*old)
    assert not load.failures
    assert set(server.worker_pids()) == new
    assert not server.log("Reload failed|failed to boot")


@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.full
def test_repeated_reloads_do_not_accumulate_workers(start: Start, deployment: Deployment) -> None:
    """At each reload one of two new workers is ready, and the other one still boots."""
    server = start("deployed:app", *deployment.options, workers=2)
    serving, seen = set(server.worker_pids()), set(server.worker_pids())
    deployment.hold()
    with Load(server) as load:
        for _ in range(4):
            server.signal(signal.SIGHUP)
            booting = deployment.booting(2, but=seen)
            seen |= booting
            ready = min(booting)
            deployment.let_go(ready)
            load.answered_by(ready)
            until(lambda: sum(map(is_alive, serving)) == 1, "one old worker has left")  # noqa: B023
            serving = {ready, *filter(is_alive, serving)}
            # Workers of earlier generations have gone, too.
            until(lambda: set(filter(is_alive, seen)) == serving | booting, "two workers, and one that boots")  # noqa: B023
        deployment.let_go()
        until(lambda: len(server.worker_pids()) == 2, "two workers")
    assert not load.failures


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux spreads connections over such sockets")
@pytest.mark.smoke
def test_no_client_waits_at_the_socket_of_a_worker_that_boots(start: Start, deployment: Deployment) -> None:
    """With reuse_port each worker has its own socket. As soon as it listens, the kernel gives it connections."""
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
        server = start("deployed:app", *deployment.options, "--reuse-port", bind=[f"{address[0]}:{address[1]}"],
                       ready=False)
        server.wait_for_log(r"^worker \d+ is ready$")
        (old,) = server.worker_pids()
        deployment.hold()
        server.signal(signal.SIGHUP)
        (new,) = deployment.booting(1, but={old})
        for _ in range(60):
            with closing(Client.connect(address)) as client:
                assert ask(client)["pid"] == old
        deployment.let_go()
        until_gone(old)
        with closing(Client.connect(address)) as client:
            assert ask(client)["pid"] == new


def test_reload_while_the_old_generation_drains(start: Start, deployment: Deployment, tmp_path: Path) -> None:
    server = start("deployed:app", *deployment.options)
    held = HeldRequest(server, tmp_path).running()
    (first,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    (second,) = deployment.booting(1, but={first})
    server.wait_for_log(f"^worker {second} is ready$")
    server.signal(signal.SIGHUP)
    (third,) = deployment.booting(1, but={first, second})
    until_gone(second)
    assert is_alive(first)
    assert ask(server.connect())["pid"] == third
    held.let_go()
    assert held.answer()["pid"] == first
    until_gone(first)
    assert server.worker_pids() == [third]


def test_reload_calls_its_hooks(start: Start, deployment: Deployment) -> None:
    """Both on_reload and child_exit are called in the master."""
    config = ("from os import write\n"
              "def on_reload(server):\n    write(2, b'hook on_reload with %d workers\\n' % len(server.WORKERS))\n"
              "def child_exit(server, worker):\n    write(2, b'hook child_exit of %d\\n' % worker.pid)\n")
    server = start("deployed:app", *deployment.options, config=config)
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(f"^hook child_exit of {old}$")
    assert server.log("^hook on_reload with 1 workers$")


# The number of workers


def test_ttin_and_ttou_count_ready_workers_only(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    (old,) = server.worker_pids()
    deployment.hold()
    with Load(server) as load:
        server.signal(signal.SIGTTIN)
        (new,) = deployment.booting(1, but={old})
        load.goes_on(50)
        # The worker that boots is stopped, not the one that serves.
        server.signal(signal.SIGTTOU)
        until_gone(new)
        assert is_alive(old)
        server.signal(signal.SIGTTIN)
        (newer,) = deployment.booting(1, but={old, new})
        deployment.let_go()
        load.answered_by(newer)
        server.signal(signal.SIGTTOU)
        until_gone(old)
        load.goes_on()
    assert not load.failures
    assert server.worker_pids() == [newer]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_reload_changes_the_number_of_workers(start: Start, before: int, after: int) -> None:
    server = start("probe:app", config=f"workers = {before}\n", workers=0)
    server.wait_for_log(r"^worker \d+ is ready$", count=before)
    old = server.worker_pids()
    path = server.directory / "gunicorn.conf.py"
    path.write_text(path.read_text().replace(f"workers = {before}", f"workers = {after}"))
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        server.wait_for_log(r"^worker \d+ is ready$", count=before + after)
        until_gone(*old)
        load.answered_by(*server.worker_pids())
    assert not load.failures
    assert len(server.worker_pids()) == after


# Masters that are patched, to preload the application


@pytest.mark.parametrize("event", ["reload", "recycling"])
def test_preloaded_application_loses_no_request(start: Start, hub: str, event: str) -> None:
    server = start("probe:app", *(["--max-requests", 150] if event == "recycling" else []),
                   config=f"{HUBS[hub].master_patch_code}\npreload_app = True\n")
    (old,) = server.worker_pids()
    with Load(server) as load:
        load.goes_on()
        if event == "reload":
            server.signal(signal.SIGHUP)
        server.wait_for_log(r"^worker \d+ is ready$", count=2)
        until_gone(old)
        load.goes_on()
    assert not load.failures


# What reloads leave behind


def processes(server: Server) -> set[int]:
    return set(map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.slow
@pytest.mark.full
def test_reloads_leave_nothing_behind(start: Start) -> None:
    server = start("probe:app")

    def kept() -> tuple[int, int]:
        proc = Path(f"/proc/{server.pid}")
        return len(os.listdir(proc / "fd")), len((proc / "maps").read_text().splitlines())

    with Load(server) as load:
        for number in range(1, 21):
            old = server.worker_pids()
            server.signal(signal.SIGHUP)
            server.wait_for_log(r"^worker \d+ is ready$", count=number + 1)
            until_gone(*old)
            until(lambda: len(processes(server)) == 1, "one worker")
            if number == 5:
                descriptors, mappings = kept()
        load.goes_on()
        # The master closes the files of a worker a moment after the worker has ended.
        until(lambda: kept()[0] <= descriptors, f"at most {descriptors} file descriptors")
        # The mappings of the memory allocator come and go.
        assert kept()[1] <= mappings + 10
    assert not load.failures
