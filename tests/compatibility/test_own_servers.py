"""gevent.pywsgi, eventlet.wsgi and gevent-websocket's server next to a worker: a client sees the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compatibility.conftest import LIBRARY_APPS
from support.client import Client, request
from support.paths import APPS
from support.waiting import WAIT_LIMIT
from support.websocket import HANDSHAKE, HELLO, HELLO_BACK, STOP

#: Scripts that serve an application on a free port with the server of a library, and print the port.
SCRIPTS = {
    "eventlet": """
import eventlet; eventlet.monkey_patch()
from eventlet import wsgi
from {module} import app
listener = eventlet.listen(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
wsgi.server(listener, app, log_output=False)
""",
    "gevent": """
from gevent import monkey; monkey.patch_all()
from gevent.pywsgi import WSGIServer
from {module} import app
server = WSGIServer(("127.0.0.1", 0), app, log=None)
server.start()
print(server.server_port, flush=True)
server.serve_forever()
""",
}
SCRIPTS["gevent-websocket"] = SCRIPTS["gevent"].replace("log=None", "log=None, handler_class=WebSocketHandler").replace(
    "from {module}", "from geventwebsocket.handler import WebSocketHandler\nfrom {module}")

EXPECT = ["Expect: 100-continue", "Content-Length: 6"]
PLAIN = [request("/") + request("/", method="POST", body=b"12345") + request("/")]
SWITCHED = [request("/echo", headers=HANDSHAKE), b"\r\n\r\n", HELLO, HELLO_BACK]
#: What a client sends, and after each part but the last one, the end of what it receives before the next part.
CONVERSATIONS = {
    "eventlet": {
        "100 responses with fields": [
            request("/continued", method="POST", headers=EXPECT), b"X-Step: 1\r\n\r\n",
            b"abc", b"x-step: 2\r\n\r\n", b"def"],
        "small chunks joined": [request("/chunks?4")],
        "all chunks joined": [request("/chunks?100")],
        "chunks as they are": [request("/chunks?0")],
        "posthooks": [request("/posthooks"), b"ok", request("/")],
        "body by eventlet.input": [request("/lines", method="POST", body=b"one\ntwo")],
        "plain": PLAIN,
    },
    "gevent": {
        "close by the application": [request("/closing") + request("/")],
        "chunks": [request("/chunks?0")],
        "100 response": [request("/read", method="POST", headers=EXPECT), b"\r\n\r\n", b"abcdef"],
        "plain": PLAIN,
    },
    "gevent-websocket": {
        "echo": [*SWITCHED, HELLO, HELLO_BACK, STOP],
        "echo and a response": [request("/flask-like", headers=HANDSHAKE), *SWITCHED[1:], STOP],
        "close by the client": [*SWITCHED, b"\x88\x82\0\0\0\0\x03\xe8"],
        "ping": [*SWITCHED, b"\x89\x84\0\0\0\0ping", b"ping", STOP],
        "properties": [request("/facts", headers=[*HANDSHAKE, "Origin: http://test"])],
        "plain": PLAIN,
    },
}
#: Fields that each server chooses itself.
OWN_FIELDS = re.compile(rb"^(Server|Date|Connection|Content-Type): [^\r]*\r\n", re.MULTILINE | re.IGNORECASE)

#: A status line, and fields, whose order is free.
HEAD = re.compile(rb"(http/1\.1 [^\r]*\r\n)((?:[^\r\n]+\r\n)*)\r\n")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[object]:
    """``own_server(kind, module)``: the address of a server of the library's own."""
    started: list[subprocess.Popen[str]] = []

    def own_server(kind: str, module: str) -> tuple[str, int]:
        path = os.pathsep.join(map(str, [APPS, LIBRARY_APPS]))
        process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SCRIPTS[kind].format(module=module)],
                                   env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return "127.0.0.1", int(process.stdout.readline())

    yield own_server
    for process in started:
        process.kill()
        process.communicate()


def received(address: tuple[str, int], conversation: list[bytes]) -> bytes:
    """Hold *conversation*, then end the stream. Return all that was received, without what each server chooses."""
    client = Client.connect(address, WAIT_LIMIT)
    data = b""
    for number, part in enumerate(conversation):
        if number % 2 == 0:
            client.send(part)
        else:
            while not data.endswith(part):
                data += client.receive_once()
    client.half_close()
    data += client.read_to_end()
    client.close()
    return HEAD.sub(lambda head: head[1] + b"".join(sorted(head[2].splitlines(keepends=True))) + b"\r\n",
                    OWN_FIELDS.sub(b"", data).lower())


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in CONVERSATIONS for name in CONVERSATIONS[kind]])
def test_client_sees_the_same(own_server, library_app, hub, kind, name):
    if not kind.startswith(hub):
        pytest.skip("this server runs on the other hub")
    module = "library_environ"
    if kind == "gevent-websocket":
        pytest.importorskip("geventwebsocket")
        module = "gevent_websockets"
    conversation = CONVERSATIONS[kind][name]
    expected = received(own_server(kind, module), conversation)
    assert expected
    assert received(library_app(f"{module}:app").address, conversation) == expected
