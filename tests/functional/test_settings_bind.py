"""The listening sockets: the settings bind, backlog and reuse_port, and inherited sockets."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import gunicorn
import pytest

from support.client import Client
from support.launch import Setup
from support.server import Server

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Runs Gunicorn with listening sockets as file descriptors 3 and up, like a supervisor, and sets LISTEN_PID, like
#: systemd, which also sets LISTEN_FDS.
SUPERVISOR = """
import os, socket, sys
for wanted in range(3, 3 + int(sys.argv[1])):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(8)
    if sock.fileno() != wanted:
        os.dup2(sock.fileno(), wanted)
    os.set_inheritable(wanted, True)
    sock.detach()
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


over_unix = pytest.mark.only(transport="unix")


class Supervised(Setup):
    """The master inherits two listening sockets."""

    def command(self, directory: Path) -> list[str]:
        return [sys.executable, "-c", SUPERVISOR, "2", *super().command(directory)[1:]]


class FromConfig(Setup):
    """The command line has no address, because an address with a null byte is not possible there."""

    def command(self, directory: Path) -> list[str]:
        words = super().command(directory)
        at = words.index("--bind")
        return words[:at] + words[at + 2:]


@pytest.fixture
def run(hub: str, transport: str, parser: str) -> Iterator[Start]:
    """Return a function that starts a server with a setup of the given class."""
    with ExitStack() as stack:

        def run(kind: type[Setup], **more: Any) -> Server:
            server = Server(kind("echo:app", hub, transport, parser, **more))
            stack.callback(server.stop)
            return server

        yield run


def environ(client: Client, *headers: str) -> dict[str, str]:
    return json.loads(client.request("/", headers=headers).body)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def tcp(address: tuple[str, int] | str) -> tuple[str, int]:
    """Return the address after checking that it is not the path of a Unix socket."""
    assert isinstance(address, tuple)
    return address


def test_bind_to_tcp(start: Start) -> None:
    server = start("echo:app")
    host, port = tcp(server.address)
    client = server.connect()
    seen = environ(client)
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (host, str(port))
    assert (seen["REMOTE_ADDR"], int(seen["REMOTE_PORT"])) == client.sock.getsockname()


@needs_ipv6
def test_bind_to_ipv6(start: Start) -> None:
    server = start("echo:app", bind=["[::1]:0"])
    client = server.connect()
    seen = environ(client)
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("::1", str(server.address[1]))
    assert (seen["REMOTE_ADDR"], int(seen["REMOTE_PORT"])) == client.sock.getsockname()[:2]


@over_unix
def test_bind_to_a_unix_socket(start: Start) -> None:
    server = start("echo:app")
    seen = environ(server.connect(), "Host: example.org:8080")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("example.org", "8080")
    assert seen["REMOTE_ADDR"] == ""
    seen = environ(server.connect(), "Host: example.org")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("example.org", "80")


@over_unix
def test_unix_socket_is_removed_at_exit(start: Start) -> None:
    server = start("echo:app")
    path = Path(str(server.address))
    assert stat.S_ISSOCK(path.stat().st_mode)
    server.signal(15)
    server.wait_for_exit()
    assert not path.exists()


@needs_linux
@pytest.mark.skipif(gunicorn.version_info < (27,), reason="older releases of Gunicorn cannot bind such a name")
def test_bind_to_an_abstract_unix_socket(run: Start) -> None:
    name = f"\0gworkers-{uuid.uuid4()}"
    server = run(FromConfig, config=f"bind = {'unix:' + name!r}")
    server.wait_for_log(r"^worker \d+ is ready$")
    with closing(Client.connect(name)) as client:
        assert environ(client)["SERVER_NAME"] == "test"


@needs_ipv6
def test_bind_to_several_addresses(start: Start, tmp_path: Path) -> None:
    server = start("echo:app", bind=["127.0.0.1:0", "[::1]:0", "127.0.0.1:0", f"unix:{tmp_path}/s"])
    assert len(server.addresses) == 4
    clients = [server.connect(index=index) for index in range(4)]
    for _ in range(2):
        seen = [environ(client) for client in clients]
        assert [one["SERVER_NAME"] for one in seen] == ["127.0.0.1", "::1", "127.0.0.1", "test"]
        assert [one["SERVER_PORT"] for one in seen[:3]] == [str(port) for _, port in map(tcp, server.addresses[:3])]


@over_unix
@pytest.mark.parametrize("umask", [0o077, 0o007])
def test_umask_applies_to_the_unix_socket(start: Start, umask: int) -> None:
    server = start("echo:app", "--umask", oct(umask))
    assert stat.S_IMODE(os.stat(str(server.address)).st_mode) == 0o777 & ~umask
    assert server.connect().request().status == 200


@pytest.mark.parametrize("setup", [{"bind": ("fd://3", "fd://4")}, {"env": (("LISTEN_FDS", "2"),)}],
                         ids=["fd", "systemd"])
def test_sockets_are_inherited(run: Start, setup: dict[str, object]) -> None:
    # Sockets from systemd replace the addresses in bind.
    server = run(Supervised, **setup).ready()
    assert len(set(server.addresses)) == 2
    for index, (_, port) in enumerate(map(tcp, server.addresses)):
        assert environ(server.connect(index=index))["SERVER_PORT"] == str(port)


@needs_linux
def test_backlog_limits_waiting_connections(start: Start) -> None:
    # For a listening socket, tcpi_sacked in Linux's tcp_info is the maximum length of its queue.
    config = """
import socket, struct
from os import write
def when_ready(server):
    info = server.LISTENERS[0].sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    write(2, b"backlog is %d\\n" % struct.unpack("8B24I", info)[13])
"""
    server = start("echo:app", "--backlog", 7, config=config)
    server.wait_for_log(r"^backlog is 7$")
    assert server.connect().request().status == 200


@needs_linux
def test_reuse_port_gives_each_worker_a_socket(start: Start) -> None:
    with closing(socket.socket()) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
        servers = [
            start("probe:app", "--reuse-port", bind=[f"127.0.0.1:{address[1]}"], workers=2, ready=False)
            for _ in range(2)
        ]
        workers = set()
        for server in servers:
            server.wait_for_log(r"^worker \d+ is ready$", count=2)
            workers.update(server.worker_pids())
        # The kernel spreads connections over the listening sockets by a hash of their addresses.
        served: set[int] = set()
        for _ in range(500):
            with closing(Client.connect(address)) as client:
                served.add(json.loads(client.request().body)["pid"])
            if served == workers:
                break
        assert served == workers
        assert len(workers) == 4


@needs_linux
@pytest.mark.skipif(gunicorn.version_info < (25,), reason="in older releases of Gunicorn the master opens it")
def test_reuse_port_on_a_used_address_stops_the_start(start: Start) -> None:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        server = start("probe:app", "--reuse-port", bind=[f"127.0.0.1:{sock.getsockname()[1]}"], ready=False)
        assert server.wait_for_exit() == 3
    (line,) = server.log(r"\[ERROR\] an address in bind cannot be used", since=0)
    assert line.endswith("[worker-setup-failed]")
