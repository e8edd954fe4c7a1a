"""What a worker process is: patched after the fork and before the application, and cheap where nobody asks for much."""

from __future__ import annotations

import signal

import pytest

from support.client import request

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Says which hubs the master has imported, and whether a worker is patched when it has just been forked.
LIFE = """
import sys
from os import write
from socket import socket

def say(text):
    write(2, text.encode() + b"\\n")

def hubs():
    return [name for name in ("gevent", "eventlet") if name in sys.modules]

def when_ready(server):
    say(f"ready with {hubs()}")

def on_exit(server):
    say(f"exits with {hubs()}")

def post_fork(server, worker):
    import socket as module
    say(f"forked {'unpatched' if module.socket is socket else 'patched'} with {hubs()}")

def post_worker_init(worker):
    import socket as module
    say(f"loaded {'unpatched' if module.socket is socket else 'patched'}")
"""


def number(client, target):
    return int(client.request(target).body)


@pytest.mark.smoke
def test_patched_after_the_fork_and_before_the_application_is_loaded(start, hub):
    server = start("insides:app", config=LIFE)
    # The application took the class by name when it was loaded.
    assert server.connect().request("/socket-class").text.partition(".")[0] == hub
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    told = server.log("^(ready|forked|loaded|exits) ", since=0)
    assert told == ["ready with []", "forked unpatched with []", "loaded patched", "exits with []"]


@pytest.mark.smoke
def test_idle_connections_have_no_greenlet(serve):
    server = serve("insides:app", "--keep-alive", 60)
    asking = server.connect()
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        assert client.request().status == 200
    assert number(asking, "/greenlets") < 8
    for client in clients:
        assert client.request().status == 200


@pytest.mark.parametrize(("path", "descriptors"), [("/hold", 1), ("/hold-the-socket", 2)])
@pytest.mark.smoke
def test_socket_that_nobody_looks_at_is_not_duplicated(serve, path, descriptors):
    server = serve("insides:app", "--keep-alive", 60)
    asking, client = server.connect(), server.connect()
    assert client.request().status == 200
    gate = server.word()
    # The first one may have opened what the worker needs once.
    before, before = (number(asking, "/descriptors") for _ in range(2))
    client.send(request(f"{path}?{gate}"))
    server.wait_for_log("^holding$")
    assert number(asking, "/descriptors") - before == descriptors - 1
    asking.request(f"/open?{gate}")
    assert client.receive().status == 200
