"""The status process: its address, its end, reloads, two masters."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.client import Client, request
from support.masters import LONG, reconfigure, upgraded
from support.memory import resident
from support.server import Server
from support.status import ON, Status
from support.waiting import WAIT_LIMIT, is_alive, until, until_gone

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def status_pids(server: Server) -> list[int]:
    """The status processes in the server's session, found by the code that they run."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid=,sess=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
    return [int(pid) for pid, session, args in rows
            if int(session) == server.pid and "gworkers.status.server" in args]


def status_pid(server: Server) -> int:
    (pid,) = until(lambda: status_pids(server), "a status process")
    return pid


@pytest.mark.smoke
def test_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "status socket"
    # What another server has left.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = start("probe:app", settings={"status_address": f"unix:{path}"})
    status = Status(server)
    assert status.address == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    status.wait_until_ready()
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not path.exists()


def test_address_in_use_stops_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        server = start("probe:app", settings={"status_address": f"127.0.0.1:{port}"}, ready=False)
        server.wait_for_log(rf"\[ERROR\] The status address 127\.0\.0\.1:{port} cannot be bound: Address already in")
        assert server.wait_for_exit() == 1


def test_process_that_was_killed_is_started_again(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    status.wait_until_ready()
    first = status_pid(server)
    os.kill(first, signal.SIGKILL)
    server.wait_for_log(r"\[ERROR\] The status process has ended\. It is started again in 1 s\.")
    until(lambda: status.is_reachable, "the status")
    assert status_pid(server) != first
    assert server.connect().request().status == 200
    assert not server.log("Worker .*exited|was sent")


def test_process_ends_with_the_master(start: Start) -> None:
    server = start("probe:app", settings=ON)
    pid = status_pid(server)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(pid, number)
    Status(server).wait_until_ready()
    workers = server.worker_pids()
    os.kill(server.pid, signal.SIGKILL)
    until_gone(pid, *workers)


def test_reload_changes_the_address(start: Start, tmp_path: Path) -> None:
    server = start("probe:app")
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        reconfigure(server, f"raw_env = ['GWORKERS_STATUS_ADDRESS=unix:{path}']\n")
        server.wait_for_log(rf"Status at: unix:{path}$")
        assert Status(server).get("/live").status == 200
    assert not first.exists()
    (tmp_path / "file").touch()
    reconfigure(server, f"raw_env = ['GWORKERS_STATUS_ADDRESS=unix:{tmp_path}/file']\n")
    server.wait_for_log(rf"\[ERROR\] The status address unix:{tmp_path}/file cannot be bound: Address already in use\.")
    assert Status(server).get("/live").status == 200
    reconfigure(server, "")
    until(lambda: not second.exists(), "the end of the status server")
    until(lambda: not status_pids(server), "the end of the status process")
    assert server.connect().request().status == 200


def test_status_stays_over_a_reload(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status, pid = Status(server), status_pid(server)
    (old,) = server.worker_pids()
    assert server.connect().request().status == 200
    until(lambda: status.requests() == 1, "a request")
    server.signal(signal.SIGHUP)
    until_gone(old)
    until(lambda: status.state()["reloads"], "a reload")
    state = status.state()
    assert status_pid(server) == pid
    assert sum(state["totals"]["requests"].values()) == 1
    assert state["totals"]["reloads"] == 1
    (reload,) = state["reloads"]
    assert (reload["outcome"], reload["generation"]) == ("done", 2)
    assert state["server"]["generation"] == 2
    (worker,) = state["workers"]
    assert (worker["generation"], worker["number"]) == (2, 1)


def test_workers_of_another_package_are_shown(start: Start) -> None:
    config = "worker_class = 'sync'\nfrom gworkers.hooks import when_ready\n"
    server = start("probe:app", worker_class="from config", config=config, settings=ON)
    status = Status(server).wait_until_ready()
    state = status.state()
    (worker,) = state["workers"]
    assert [worker["pid"]] == server.worker_pids()
    assert (worker["number"], worker["phase"], worker["published"], worker["blocked"]) == (1, "ready", None, 0)
    assert status.get("/live").status == 200


def test_refused_reload_is_counted(start: Start) -> None:
    server = start("probe:app", settings=ON)
    status = Status(server)
    reconfigure(server, "1 / 0\n")
    server.expect_traceback("ZeroDivisionError")
    until(lambda: status.state()["reloads"], "a reload")
    state = status.state()
    assert (state["reloads"][0]["outcome"], state["totals"]["failed_reloads"]) == ("refused", 1)
    assert (state["server"]["generation"], state["server"]["state"]) == (1, "serving")


def test_two_masters_share_the_address(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile, settings=ON)
    status = Status(server)
    first = status.state()["server"]["pid"]
    assert first == server.pid
    with upgraded(server, pidfile) as new:
        assert status.state()["server"]["pid"] == first
        server.signal(signal.SIGTERM)
        # The second master has the output of the first one, so that does not end.
        assert server.process.wait(WAIT_LIMIT) == 0
        assert status.state()["server"]["pid"] == new
        status.wait_until_ready()
    until(lambda: not status.is_reachable, "the end of the status server")


@pytest.mark.only(transport="unix")
def test_status_of_the_first_master_stays_after_an_upgrade(start: Start, pidfile: Path, tmp_path: Path) -> None:
    server = start("probe:app", "--pid", pidfile, settings={"status_address": f"unix:{tmp_path}/status"})
    status = Status(server)
    with upgraded(server, pidfile):
        pass
    assert status.state()["server"]["pid"] == server.pid
    status.wait_until_ready()


def test_second_master_serves_the_status_when_the_first_has_no_workers(start: Start, pidfile: Path) -> None:
    # Gunicorn obeys WINCH only if it is a daemon.
    config = "def when_ready(server):\n    server.cfg.set('daemon', True)\n"
    server = start("probe:app", "--pid", pidfile, settings=ON, config=config)
    status = Status(server)
    with upgraded(server, pidfile) as new:
        server.signal(signal.SIGWINCH)
        until(lambda: status.state()["server"]["pid"] == new, "the status of the second master", LONG)
        status.wait_until_ready()
    server.signal(signal.SIGHUP)
    until(lambda: status.is_reachable and status.state()["server"]["pid"] == server.pid, "the first status", LONG)
    until(lambda: status.get("/ready").status == 200, "readiness", LONG)


def test_clients_that_read_nothing_do_not_stop_others(start: Start) -> None:
    server = start("probe:app", settings=ON, workers=4)
    status = Status(server)
    silent = [Client.connect(status.address) for _ in range(40)]
    readers = [Client.connect(status.address) for _ in range(40)]
    for client in readers:
        client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    status.wait_until_ready()
    assert status.get("/state.json").status == 200
    assert server.connect().request().status == 200
    for client in (*silent, *readers):
        client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_head_of_a_request_is_limited(start: Start) -> None:
    """Clients cannot use up the memory."""
    server = start("probe:app", settings=ON)
    status = Status(server).wait_until_ready()
    pid = status_pid(server)
    before = resident(pid)
    clients = [Client.connect(status.address) for _ in range(8)]
    for client in clients:
        with suppress(OSError):
            client.send(b"GET / HTTP/1.1\r\n" + (b"X: %s\r\n" % (b"x" * 65000)) * 90)
    assert status.get("/live").status == 200
    assert resident(pid) - before < 16_000_000
    for client in clients:
        client.close()


def test_blocked_worker_is_described_while_it_is_blocked(start: Start) -> None:
    server = start("blocking:app", settings={**ON, "block_warning": 0.5})
    status = Status(server)
    client = server.connect()
    client.send(request("/sleep_unpatched?5"))
    (block,) = until(lambda: status.state()["blocks"], "a block")
    assert "sleep_unpatched" in block["place"]
    assert "GET /sleep_unpatched from 127.0.0.1" in block["request"]
    assert "blocking.py" in block["stack"]
    assert block["worker"] == 1
    (running,) = status.state()["workers"][0]["in_flight_requests"]
    assert (running["path"], running["state"]) == ("/sleep_unpatched", "running")
    assert "in sleep_unpatched" in running["stack"]
    status.wait_until_ready()
    assert client.receive().status == 200
    until(lambda: status.state()["blocks"][0]["seconds"] > 4.5, "the end of the block")
    assert status.state()["totals"]["blocks"] == 1
    assert status.state()["workers"][0]["lag"]["max"] > 4


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy handles signals in all loops")
def test_master_reports_the_requests_of_a_worker_that_could_not(start: Start) -> None:
    server = start("blocking:app", "--timeout", 2)
    server.connect().send(request("/wait?60"))
    # Longer than a publication takes to come.
    assert server.connect().request("/wait?1").status == 200
    server.connect().send(request(f"/call_c_that_handles_no_signal?{10 ** 12}"))
    (pid,) = server.worker_pids()
    server.wait_for_log(rf"\[ERROR\] The worker \(pid:{pid}\) was aborted and could not report what it did", LONG)
    server.wait_for_log(r"^GET /wait from 127\.0\.0\.1, \d\.\d s old, waiting:$")
    server.wait_for_log(r"blocking\.py:\d+ in app$")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_status_works_while_no_log_can_be_written(start: Start) -> None:
    server = start("probe:app", "--access-logfile", "/dev/full", settings=ON)
    status = Status(server)
    client = server.connect()
    for _ in range(20):
        assert client.request().status == 200
    until(lambda: status.requests() == 20, "20 requests")
    status.wait_until_ready()


def test_stopped_worker_does_not_stop_the_status(start: Start) -> None:
    server = start("probe:app", settings=ON, workers=2)
    status = Status(server)
    until(lambda: all(worker["published"] for worker in status.state()["workers"]), "publications")
    stopped, other = server.worker_pids()
    os.kill(stopped, signal.SIGSTOP)
    try:
        until(lambda: any(worker["blocked"] for worker in status.state()["workers"]), "a blocked worker")
        by_pid = {worker["pid"]: worker for worker in status.state()["workers"]}
        assert by_pid[stopped]["blocked"] > 0
        assert by_pid[other]["blocked"] == 0
        status.wait_until_ready()
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert is_alive(stopped)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user of workers")
def test_process_runs_as_the_user_of_the_workers(start: Start) -> None:
    directory = tempfile.mkdtemp(prefix="gw")
    os.chmod(directory, 0o755)
    path = Path(directory) / "status"
    try:
        server = start("probe:app", "--user", "12345", "--group", "54321", settings={"status_address": f"unix:{path}"})
        Status(server).wait_until_ready()
        assert (path.stat().st_uid, path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (12345, 54321, 0o600)
        command = ["ps", "-o", "uid=,gid=", "-p", str(status_pid(server))]
        listing = subprocess.run(command, capture_output=True, text=True, check=True)
        assert listing.stdout.split() == ["12345", "54321"]
    finally:
        shutil.rmtree(directory)


@pytest.mark.only(hub="gevent")
def test_master_with_a_patched_standard_library(start: Start) -> None:
    config = "from gevent import monkey\nmonkey.patch_all()\npreload_app = True\n"
    server = start("probe:app", config=config, settings=ON, workers=2)
    status = Status(server).wait_until_ready()
    old = server.worker_pids()
    first = status_pid(server)
    os.kill(first, signal.SIGKILL)
    until(lambda: status_pids(server) not in ([], [first]), "another status process", LONG)
    server.signal(signal.SIGHUP)
    until_gone(*old, limit=LONG)
    until(lambda: status.is_reachable and status.state()["totals"]["reloads"] == 1, "a reload", LONG)
