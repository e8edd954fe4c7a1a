"""The control socket of a worker: who may use it, and that no client delays the worker or its watchdog."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from gworkers.inspection.control_client import ControlError, ask
from gworkers.watch import control, control_address
from gworkers.watch.control_address import addresses
from support.client import request
from support.waiting import is_alive, until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast")]

NOBODY = 65534


@pytest.fixture
def server(serve):
    return serve("blocking:app")


@pytest.fixture
def address(server):
    return address_of(*server.worker_pids())


def address_of(pid):
    return until(lambda: next((each for each in addresses() if each.pid == pid), None), "the control socket")


@pytest.fixture
def connect(address):
    """Connects to the control socket."""
    opened = []

    def connect():
        sock = socket.socket(socket.AF_UNIX)
        opened.append(sock)
        sock.connect(address.name)
        sock.settimeout(10)
        return sock

    yield connect
    for sock in opened:
        sock.close()


def response(sock):
    """All that the worker sends. Nothing also if it has closed the connection without reading the request."""
    received = b""
    try:
        while True:
            data = sock.recv(65536)
            if not data:
                return received
            received += data
    except ConnectionResetError:
        return received


INVALID = {"empty": b"\n", "list": b"[]\n", "no command": b"{}\n", "null": b"null\n", "unknown": b'{"command": "x"}\n',
           "no text": b'{"command": []}\n', "no UTF-8": b"\xff\n", "deep": b"[" * 4000 + b"\n",
           "too long": b"x" * (control.REQUEST_SIZE + 1)}


@pytest.mark.parametrize("kind", INVALID)
def test_invalid_request_is_refused(connect, kind):
    sock = connect()
    sock.sendall(INVALID[kind])
    assert "error" in json.loads(response(sock))


def test_silent_clients_do_not_delay_the_watchdog(server, connect, address):
    silent = [connect() for _ in range(control.CLIENTS)]
    # They have been accepted when one more is refused.
    until(lambda: response_to(connect()) == b"", "a refusal")
    client = server.connect()
    client.send(request("/loop_in_python?1.8"))
    server.wait_for_log("The hub is blocked for 1")
    assert client.receive().body == b"ok"
    # Their time ends.
    for sock in silent:
        assert response(sock) == b""
    until(lambda: "requests" in json.loads(response_to(connect()) or b"{}"), "a response")


def response_to(sock):
    try:
        sock.sendall(b'{"command": "stacks"}\n')
    except BrokenPipeError:
        return b""
    return response(sock)


def test_client_that_never_reads_does_not_delay_the_worker(server, connect):
    for _ in range(control.CLIENTS):
        sock = connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.sendall(b'{"command": "stacks"}\n')
    client = server.connect()
    client.send(request("/loop_in_python?1.8"))
    server.wait_for_log("The hub is blocked for 1")
    assert client.receive().body == b"ok"


def test_client_that_leaves_does_not_disturb(server, connect, address):
    for _ in range(20):
        sock = connect()
        sock.sendall(b'{"command": "stacks"}\n')
        sock.close()
    until(lambda: "requests" in json.loads(response_to(connect()) or b"{}"), "a response")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_other_users_are_refused(address):
    report, result = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                ask(address, {"command": "stacks"}, 5)
            except ControlError as error:
                os.write(result, f"{error}\n".encode())
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(address.name)
            sock.settimeout(5)
            os.write(result, b"response: %r" % response_to(sock))
        finally:
            os._exit(0)
    os.close(result)
    os.waitpid(child, 0)
    with os.fdopen(report) as file:
        assert file.read() == (f"worker {address.pid} belongs to user root. Only this user and root can ask it. "
                               f"Run the command as one of them\nresponse: b''")


def test_socket_of_another_process_is_refused():
    with socket.socket(socket.AF_UNIX) as sock:
        name = control_address.new_name()
        sock.bind(name)
        sock.listen()
        with pytest.raises(ControlError, match=rf"worker 1 belongs to process {os.getpid()}"):
            ask(control_address.ControlAddress(1, name), {"command": "stacks"}, 5)


@pytest.fixture
def directory(monkeypatch):
    """The directory for temporary files of a server whose sockets are files."""
    directory = Path(tempfile.mkdtemp(prefix="gw"))
    monkeypatch.setattr(control_address, "ABSTRACT", False)
    monkeypatch.setattr(control_address, "gettempdir", lambda: str(directory))
    yield directory
    shutil.rmtree(directory)


def with_files(directory):
    return (f"import gworkers.watch.control_address as addresses\n"
            f"addresses.ABSTRACT = False\naddresses.gettempdir = lambda: {str(directory)!r}\n")


@pytest.mark.every_hub
def test_file_is_private_and_removed_at_the_exit(start, directory):
    server = start("forking:app", config=with_files(directory))
    pid, = server.worker_pids()
    assert "requests" in ask(address_of(pid), {"command": "stacks"}, 5)
    private, = directory.iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    server.stop()
    assert list(private.iterdir()) == []


@pytest.mark.every_hub
def test_forked_child_keeps_the_file(start, directory, tmp_path):
    server = start("forking:app", config=with_files(directory))
    pid, = server.worker_pids()
    client = server.connect()
    gate = tmp_path / "gate"
    client.send(request(f"/leaves?gate={gate}"))
    child = json.loads(server.wait_for_log(r"^child (\{.*\})$")[1])["pid"]
    gate.touch()
    until(lambda: not is_alive(child), "the end of the child")
    assert "requests" in ask(address_of(pid), {"command": "stacks"}, 5)


def test_stale_file_of_a_killed_worker_is_removed(start, directory):
    server = start("blocking:app", config=with_files(directory))
    pid, = server.worker_pids()
    os.kill(pid, 9)
    server.wait_for_log(r"^worker \d+ is ready$", count=2, since=0)
    until(lambda: [each.pid for each in addresses()] == server.worker_pids(), "the new worker only")


@pytest.mark.parametrize("prepare", [lambda path: path.mkdir(0o755), lambda path: path.symlink_to("/tmp"),
                                     lambda path: path.touch()])
def test_directory_that_others_can_use_is_refused(directory, prepare):
    prepare(directory / f"gworkers-{os.geteuid()}")
    with pytest.raises(OSError, match="only its owner can enter"):
        control_address.new_name()
