"""A worker process: it patches after the fork and before the application, and idle connections are cheap."""

from __future__ import annotations

import signal

import pytest

from support.client import request

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Logs the hub libraries that are imported, and whether the process is patched, at several times.
LIFE = """
import sys
from os import write
from socket import socket

def log(text):
    write(2, text.encode() + b"\\n")

def hubs():
    return [name for name in ("gevent", "eventlet") if name in sys.modules]

def when_ready(server):
    log(f"ready with {hubs()}")

def on_exit(server):
    log(f"exits with {hubs()}")

def post_fork(server, worker):
    import socket as module
    log(f"forked {'unpatched' if module.socket is socket else 'patched'} with {hubs()}")

def post_worker_init(worker):
    import socket as module
    log(f"loaded {'unpatched' if module.socket is socket else 'patched'}")
"""


def number(client, target):
    return int(client.request(target).body)


@pytest.mark.smoke
def test_patched_after_the_fork_and_before_the_application_is_loaded(start, hub):
    server = start("worker_internals:app", config=LIFE)
    # The application imported the class by name.
    assert server.connect().request("/socket-class").text.partition(".")[0] == hub
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    logged = server.log("^(ready|forked|loaded|exits) ", since=0)
    assert logged == ["ready with []", "forked unpatched with []", "loaded patched", "exits with []"]


@pytest.mark.smoke
def test_idle_connections_have_no_greenlet(serve):
    server = serve("worker_internals:app", "--keep-alive", 60)
    asking = server.connect()
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        assert client.request().status == 200
    assert number(asking, "/greenlets") < 8
    for client in clients:
        assert client.request().status == 200


@pytest.mark.parametrize(("path", "descriptors"), [("/hold", 1), ("/hold-the-socket", 2)])
@pytest.mark.smoke
def test_unused_socket_in_the_environ_is_not_duplicated(serve, path, descriptors):
    server = serve("worker_internals:app", "--keep-alive", 60)
    asking, client = server.connect(), server.connect()
    assert client.request().status == 200
    gate = server.word()
    # The first request may open file descriptors that the worker keeps.
    before, before = (number(asking, "/descriptors") for _ in range(2))
    client.send(request(f"{path}?{gate}"))
    server.wait_for_log("^holding$")
    assert number(asking, "/descriptors") - before == descriptors - 1
    asking.request(f"/open?{gate}")
    assert client.receive().status == 200
