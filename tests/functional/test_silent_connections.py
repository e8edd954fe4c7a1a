"""Connections that send nothing are closed when there is no room for others: connections or file descriptors."""

from __future__ import annotations

import os
import sys

import pytest

from support.client import request

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

FEW_FILES = """
import os, resource
def post_worker_init(worker):
    limit = len(os.listdir("/dev/fd")) + 30
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
"""

LIMITS = pytest.mark.parametrize("limit", ["connections", "files"])


@pytest.fixture
def full(start):
    """Start a server that has room for about 20 connections."""

    def full(limit, *options, **more):
        if limit == "files":
            return start("many_clients:app", *options, config=FEW_FILES, **more)
        return start("many_clients:app", "--worker-connections", 20, *options, **more)

    return full


@LIMITS
def test_silent_connections_make_room(full, limit):
    """The oldest ones are closed first, long before their timeout."""
    server = full(limit)
    silent = [server.connect() for _ in range(80)]
    for _ in range(30):
        assert server.connect().request("/count").status == 200
    silent[0].expect_close()
    assert server.log("Cannot accept") == []


@LIMITS
def test_new_connection_has_time_for_its_first_byte(full, limit):
    """A connection that has just been opened is not closed for the next one, which waits a moment."""
    server = full(limit)
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        assert client.request("/count", headers=["Connection: close"]).status == 200


@LIMITS
def test_idle_connections_make_room(full, limit):
    server = full(limit, "--keep-alive", 60)
    idle = []
    for _ in range(80):
        idle.append(server.connect())
        assert idle[-1].request("/count").status == 200
    idle[0].expect_close()
    assert server.log("Cannot accept") == []


@LIMITS
def test_request_that_has_arrived_is_not_lost(full, limit, tmp_path):
    """Connections with requests wait in the kernel's queue and are accepted all at once."""
    server = full(limit, "--keep-alive", 60)
    go = tmp_path / "go"
    holder = server.connect()
    holder.send(request(f"/hold-the-hub?{go}"))
    server.wait_for_log("^holding the hub$")
    clients = [server.connect() for _ in range(60)]
    for client in clients:
        client.send(request("/count"))
    go.touch()
    for client in clients:
        assert client.receive().status == 200
    assert holder.receive().status == 200


@LIMITS
def test_running_requests_are_not_closed(full, limit):
    server = full(limit)
    gate = server.word()
    busy = []
    for _ in range(15):
        busy.append(server.connect())
        busy[-1].send(request(f"/wait?{gate}"))
    silent = [server.connect() for _ in range(30)]
    assert server.connect().request("/count").status == 200
    assert server.connect().request(f"/open?{gate}").status == 200
    for client in busy:
        assert client.receive().status == 200
    silent[0].expect_close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_worker_without_file_descriptors_waits(full, tmp_path):
    """If no connection can be closed, the worker neither fails nor uses CPU time."""
    server = full("files")
    worker, = server.worker_pids()
    go = tmp_path / "go"
    busy = []
    for _ in range(60):
        busy.append(server.connect())
        busy[-1].send(request(f"/wait-for-file?{go}"))
    server.wait_for_log("(?i)too many open files")
    before = processor_time(worker)
    server.wait_for_log("(?i)too many open files", count=4)
    # Three pauses of half a second.
    assert processor_time(worker) - before < 0.7
    assert len(server.log("(?i)too many open files")) < 10
    go.touch()
    for client in busy:
        assert client.receive().status == 200
    assert server.log("ERROR|Traceback") == []


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
