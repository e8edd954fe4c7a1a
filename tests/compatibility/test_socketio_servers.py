"""Flask-SocketIO as in docs/websockets.md: behind nginx and HAProxy, in a script, and while the server reloads."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from compatibility.socketio_chat import Chat, socketio
from support.client import Client
from support.deployed_example import EXAMPLES
from support.doc_blocks import blocks
from support.paths import ROOT
from support.requirements import free_ports, program
from support.script import ScriptSetup, call
from support.server import Server
from support.waiting import WAIT_LIMIT, until, until_gone

pytest.importorskip("flask_socketio")

#: What the block in the documentation replaces in the example.
REPLACED = {"nginx": r"(?ms)^upstream webapp \{.*?^\}\n", "haproxy": r"(?ms)^backend webapp\n.*"}
FILES = {"nginx": "webapp.conf", "haproxy": "haproxy.cfg"}


def configure(proxy: str, directory: Path, servers: list[Server]) -> int:
    """Write the example of the proxy with the block in the documentation. Return the port of the proxy."""
    (block,) = (block for block in blocks() if block.language == proxy and block.place.startswith("docs/websockets"))
    text = block.text
    for documented, server in zip(("127.0.0.1:8001", "127.0.0.1:8002"), servers):
        assert documented in text
        text = text.replace(documented, "{}:{}".format(*server.address))
    (port,) = free_ports(1)
    example = (EXAMPLES / proxy / FILES[proxy]).read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    changed, count = re.subn(REPLACED[proxy], lambda match: text, example)
    assert count == 1
    (directory / FILES[proxy]).write_text(changed)
    return port


@pytest.fixture(params=["nginx", "haproxy"])
def proxied(request, library_app, database, tmp_path) -> Iterator[SimpleNamespace]:
    """The chat in two servers behind a proxy."""
    executable = program(request.param)
    env = {"MESSAGE_QUEUE": database("redis").url}
    servers = [library_app("chat:create_app()", example="socketio", env=env) for _ in range(2)]
    port = configure(request.param, tmp_path, servers)
    if request.param == "nginx":
        (tmp_path / "nginx.conf").write_text((EXAMPLES / "nginx" / "nginx.conf").read_text())
        words = ["-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]
    else:
        words = ["-db", "-f", str(tmp_path / "haproxy.cfg")]

    def serves() -> bool:
        assert process.poll() is None
        try:
            with closing(Client.connect(("127.0.0.1", port))) as client:
                return client.request("/").status == 200
        except OSError:
            return False

    with subprocess.Popen([executable, *words], stdin=subprocess.DEVNULL) as process:
        try:
            until(serves, f"{request.param} serves")
            yield SimpleNamespace(address=("127.0.0.1", port))
        finally:
            process.terminate()


@pytest.mark.parametrize("transports", [["polling"], None], ids=["polling", "upgrade"])
def test_requests_of_a_client_reach_the_same_server(proxied, transports):
    clients = [Chat(proxied, transports) for _ in range(4)]
    for client in clients:
        client.join("red")
    clients[0].say("red", "hello")
    for client in clients:
        assert client.said() == "hello"
    for client in clients:
        client.close()


def test_script_serves_the_application(hub):
    env = (("PYTHONPATH", str(ROOT / "examples" / "socketio")),)
    server = Server(ScriptSetup(app="", script=call("'chat:create_app()'", hub), hub=hub, env=env))
    try:
        client = Chat(server.ready(), None)
        client.join("red")
        client.say("red", "hello")
        assert client.said() == "hello"
        client.close()
    finally:
        server.stop(WAIT_LIMIT)


@pytest.fixture
def reconnecting() -> Iterator[Callable[[Server, str], queue.Queue[str]]]:
    """``reconnecting(server, "polling")``: "connect" and "disconnect", in their order, of a client that stays."""
    clients = []

    def reconnecting(server: Server, transport: str) -> queue.Queue[str]:
        events: queue.Queue[str] = queue.Queue()
        client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.1)
        clients.append(client)
        for name in ("connect", "disconnect"):
            client.on(name, lambda *words, name=name: events.put(name))
        client.connect("http://{}:{}".format(*server.address), transports=[transport], wait_timeout=WAIT_LIMIT)
        return events

    yield reconnecting
    for client in clients:
        client.disconnect()


def next_of(events: queue.Queue[str], count: int) -> list[str]:
    return [events.get(timeout=WAIT_LIMIT) for _ in range(count)]


@pytest.mark.parametrize("kind", ["polling", "websocket"])
def test_client_connects_to_the_new_worker_after_a_reload(library_app, reconnecting, kind):
    server = library_app("chat:create_app()", "--graceful-timeout", 2, example="socketio")
    events = reconnecting(server, kind)
    assert next_of(events, 1) == ["connect"]
    server.signal(signal.SIGHUP)
    assert next_of(events, 2) == ["disconnect", "connect"]


def test_reload_does_not_wait_for_clients_if_the_application_allows_it(start, reconnecting, tmp_path):
    (block,) = (block for block in blocks() if "create_app" in block.text and block.place.startswith("docs/websockets"))
    (tmp_path / "wrapped.py").write_text(block.text)
    path = os.pathsep.join(map(str, [tmp_path, ROOT / "examples" / "socketio"]))
    server = start("wrapped:app", "--graceful-timeout", 600, env={"PYTHONPATH": path})
    events = reconnecting(server, "websocket")
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    assert next_of(events, 3) == ["connect", "disconnect", "connect"]
    until_gone(old)
