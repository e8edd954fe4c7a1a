"""The hooks pre_request and post_request: their arguments equal those in Gunicorn's worker."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import gunicorn
import pytest

from support.client import Client, chunked, request
from support.launch import importable
from support.paths import ROOT
from support.server import Server

pytestmark = pytest.mark.only(transport="tcp")

Serve = Callable[..., Server]


#: Logs the attributes that hooks usually read. Ports are left out, because they differ between connections.
RECORD = """
import json
from os import write

def say(what):
    write(2, b"hook %s\\n" % json.dumps(what, default=repr).encode())

def of_request(req):
    return dict(
        method=req.method, uri=req.uri, path=req.path, query=req.query, fragment=req.fragment,
        version=req.version, headers=req.headers, scheme=req.scheme, trailers=list(req.trailers),
        remote_addr=req.remote_addr[0], peer_addr=req.peer_addr[0], peer=type(req.peer_addr).__name__,
        info=req.proxy_protocol_info or None, number=req.req_number, closes=req.should_close())

def of_response(resp):
    return resp and dict(
        request=type(resp.req).__name__, configured=resp.cfg.worker_connections, upgrade=resp.upgrade,
        status=resp.status, code=getattr(resp, "status_code", None), headers=resp.headers, sent=resp.sent,
        length=resp.response_length, headers_sent=resp.headers_sent, chunked=resp.chunked,
        closes=resp.should_close() if resp.status else None)

def pre_request(worker, req):
    say(dict(hook="pre_request", body=hasattr(req.body, "read"), alive=worker.alive, nr=worker.nr,
             configuration=req.cfg is worker.cfg, **of_request(req)))

def post_request(worker, req, environ, resp):
    say(dict(hook="post_request", nr=worker.nr, same=environ.get("RAW_URI"), response=of_response(resp),
             configuration=req.cfg is worker.cfg, **of_request(req)))
"""

#: Logs the names of all attributes.
ATTRIBUTES = """
import json
from os import write

def attributes(thing):
    return [name for name in dir(thing) if name[0] != "_" and not callable(getattr(thing, name))]

def post_request(worker, req, environ, resp):
    seen = dict(request=attributes(req), response=attributes(resp),
                same=[resp.req is req, resp.cfg is worker.cfg, resp.sock is environ["gunicorn.socket"]])
    write(2, b"attributes %s\\n" % json.dumps(seen).encode())
"""

#: Attributes of Gunicorn's request and response that are missing here: limits and buffer of its parser, its name.
#: docs/settings.md lists them.
OMITTED = {"unreader", "limit_request_line", "limit_request_fields", "limit_request_field_size",
           "max_buffer_headers", "version of the response"}

#: Logs the address of the client of a Unix socket.
PEERS = """
import json
from os import write

def pre_request(worker, req):
    write(2, b"peers %s\\n" % json.dumps([repr(req.peer_addr), repr(req.remote_addr)]).encode())

def post_request(worker, req, environ, resp):
    seen = [environ["REMOTE_ADDR"], environ.get("REMOTE_PORT")]
    write(2, b"address %s\\n" % json.dumps(seen).encode())
"""

REQUESTS = {
    "a query": request("/uplo%61d?d=e&f=%20#g", headers=["X-One: 1", "X-One: 2", "Cookie: a=b"]),
    "an old client": request("/", version="1.0"),
    "an old client with keep-alive": request("/", version="1.0", headers=["Connection: keep-alive"]),
    "a client with Connection: close": request("/", headers=["Connection: close"]),
    "a body": request("/upload", method="POST", body=b"x" * 1000),
    "a body in chunks": request("/upload", method="POST", headers=["Transfer-Encoding: chunked"],
                                body=chunked(b"abc", b"def")),
    "an unread body": request("/", method="POST", body=b"x" * 10),
    "a chunked response": request("/stream?parts=3"),
    "a response to an old client": request("/stream?parts=3", version="1.0"),
    "an absolute target": request("http://example.org/upload?b"),
}
if gunicorn.version_info >= (27,):
    # Older releases send or count a body.
    REQUESTS["HEAD"] = request("/", method="HEAD")


def records(server: Server, data: bytes) -> list[dict[str, Any]]:
    """The records of the hooks for one exchange on a new connection."""
    client = server.connect()
    before = len(server.lines)
    client.send(data)
    assert client.receive(data.split()[0].decode()).status == 200
    server.wait_for_log('^hook .*"post_request"', since=before)
    found = [json.loads(line[len("hook "):]) for line in server.log("^hook ", since=before)]
    for record in found:
        del record["nr"]
    return found


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.sample(5)
def test_hooks_receive_the_same_as_in_gunicorns_worker(serve: Serve, data: bytes) -> None:
    pytest.importorskip("gevent", reason="Gunicorn's own worker runs on gevent")
    ours = records(serve("probe:app", config=RECORD), data)
    theirs = records(serve("probe:app", config=RECORD, worker_class="gevent"), data)
    assert [record["hook"] for record in ours] == ["pre_request", "post_request"]
    assert ours == theirs


def attributes(server: Server) -> dict[str, list[str]]:
    assert server.connect().request().status == 200
    return json.loads(server.wait_for_log("^attributes (.*)$")[1])


@pytest.mark.smoke
def test_attributes_equal_those_of_gunicorns_worker(serve: Serve) -> None:
    pytest.importorskip("gevent", reason="Gunicorn's own worker runs on gevent")
    ours = attributes(serve("probe:app", config=ATTRIBUTES))
    theirs = attributes(serve("probe:app", config=ATTRIBUTES, worker_class="gevent"))
    assert ours["same"] == theirs["same"] == [True, True, True]
    missing = set(theirs["request"]) - set(ours["request"])
    missing |= {f"{name} of the response" for name in set(theirs["response"]) - set(ours["response"])}
    assert missing == OMITTED


def test_omissions_are_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    hook_of = {name: "post_request" if name.endswith("of the response") else "pre_request" for name in OMITTED}
    assert [name for name, hook in hook_of.items() if f"`{name.split()[0]}`" not in rows[hook]] == []


@pytest.mark.only(transport="unix")
@pytest.mark.parametrize("named", [False, True])
def test_peer_of_a_unix_socket(serve: Serve, named: bool) -> None:
    """Its address is a string: the path that it is bound to, usually empty."""
    for worker_class in ("", "gevent") if importable("gevent") else ("",):
        server = serve("echo:app", "--access-logfile", "-", "--access-logformat", "access from [%(h)s]",
                       config=PEERS, worker_class=worker_class)
        path = f"{server.directory}/{server.word()}" if named else ""
        with socket.socket(socket.AF_UNIX) as sock:
            if named:
                sock.bind(path)
            sock.connect(server.address)
            client = Client(sock)
            assert json.loads(client.request().body)["REMOTE_ADDR"] == path
        assert json.loads(server.wait_for_log("^peers (.*)$")[1]) == [repr(path), repr(path)]
        assert json.loads(server.wait_for_log("^address (.*)$")[1]) == [path, None]
        server.wait_for_log(rf"^access from \[{re.escape(path)}\]$")
        assert len(server.log("^(peers|address|access) ")) == 3


def test_hooks_are_called_for_a_failing_application(serve: Serve) -> None:
    server = serve("probe:app", config=RECORD)
    assert server.connect().request("/boom").status == 500
    server.expect_traceback("ValueError: asked for")
    server.wait_for_log('^hook .*"post_request"')
    before, after = (json.loads(line[len("hook "):]) for line in server.log("^hook "))
    assert (before["hook"], before["uri"]) == ("pre_request", "/boom")
    # In Gunicorn's worker the response has no status here, although it was sent.
    assert (after["response"]["status"], after["response"]["code"]) == ("500 Internal Server Error", 500)
    assert (after["response"]["headers_sent"], after["response"]["closes"]) == (False, True)


def test_hooks_are_called_once_per_request(serve: Serve) -> None:
    server = serve("probe:app", config=RECORD)
    client = server.connect()
    client.send(b"".join(request(f"/?{number}") for number in range(3)))
    for _ in range(3):
        assert client.receive().status == 200
    server.wait_for_log('^hook .*"post_request"', count=3)
    found = [json.loads(line[len("hook "):]) for line in server.log("^hook ")]
    assert [(record["hook"], record["query"], record["number"]) for record in found] == [
        (hook, str(number), number + 1) for number in range(3) for hook in ("pre_request", "post_request")]
    assert [record["nr"] - found[0]["nr"] for record in found] == [0, 1, 1, 2, 2, 3]


def test_proxy_protocol_info_is_set(serve: Serve) -> None:
    server = serve("probe:app", config="proxy_protocol = True\n" + RECORD)
    client = server.connect()
    client.send(b"PROXY TCP4 192.0.2.7 198.51.100.3 56324 443\r\n" + request("/") + request("/"))
    assert [client.receive().status for _ in range(2)] == [200, 200]
    server.wait_for_log('^hook .*"post_request"', count=2)
    found = [json.loads(line[len("hook "):]) for line in server.log("^hook ")]
    assert [record["info"] for record in found] == 4 * [{
        "proxy_protocol": "TCP4", "client_addr": "192.0.2.7", "client_port": 56324,
        "proxy_addr": "198.51.100.3", "proxy_port": 443}]
    assert found[0]["peer_addr"] == "127.0.0.1"


@pytest.mark.parametrize("arguments", ["worker, req", "worker, req, environ", "worker, req, environ, resp"])
@pytest.mark.sample(1)
def test_post_request_may_have_fewer_parameters(serve: Serve, arguments: str) -> None:
    last = arguments.split(", ")[-1]
    config = (f"from os import write\ndef post_request({arguments}):\n"
              f"    write(2, b'last is %s\\n' % type({last}).__name__.encode())\n")
    server = serve("probe:app", config=config)
    assert server.connect().request().status == 200
    expected = {"req": "Request", "environ": "dict", "resp": "Response"}[last]
    server.wait_for_log(f"^last is {expected}$")


def test_pre_request_may_change_the_request(serve: Serve) -> None:
    config = """
def pre_request(worker, req):
    req.headers.append(("X-ADDED", "by a hook"))
    req.headers = [(name, value) for name, value in req.headers if name != "X-REMOVED"]
    req.scheme = "https"
    req.path = "/changed" + req.path
    req.query = "changed"
"""
    server = serve("echo:app", config=config)
    seen = json.loads(server.connect().request("/a", headers=["X-Removed: 1", "X-Kept: 2"]).body)
    assert (seen["wsgi.url_scheme"], seen["PATH_INFO"], seen["QUERY_STRING"]) == ("https", "/changed/a", "changed")
    assert (seen.get("HTTP_X_ADDED"), seen.get("HTTP_X_KEPT")) == ("by a hook", "2")
    assert "HTTP_X_REMOVED" not in seen


def test_pre_request_may_close_the_connection(serve: Serve) -> None:
    server = serve("echo:app", config="def pre_request(worker, req):\n    req.force_close()\n")
    client = server.connect()
    assert client.request().closes
    client.expect_close()


def test_failing_pre_request_is_answered_with_500(serve: Serve) -> None:
    config = """
from os import write
def pre_request(worker, req):
    raise ValueError("not today")
def post_request(worker, req, environ, resp):
    write(2, b"post_request after all, with %r\\n" % req.uri.encode())
"""
    server = serve("probe:app", config=config)
    client = server.connect()
    response = client.request("/a")
    assert (response.status, response.closes) == (500, True)
    client.expect_close()
    server.expect_traceback("ValueError: not today")
    server.wait_for_log("^post_request after all, with b'/a'")


def test_failing_post_request_is_logged(serve: Serve) -> None:
    server = serve("probe:app", config="def post_request(worker, req):\n    raise ValueError('not today')\n")
    client = server.connect()
    for _ in range(2):
        assert client.request().status == 200
        server.expect_traceback("ValueError: not today")
    assert len(server.log("Exception in post_request hook")) == 2


def test_default_pre_request_logs_at_debug_level(serve: Serve) -> None:
    server = serve("probe:app", "--log-level", "debug")
    assert server.connect().request("/variable?name=A").status == 200
    server.wait_for_log(r"\[DEBUG\] GET /variable$")


def test_hook_may_wait(serve: Serve) -> None:
    # It runs in the request greenlet, so other requests continue.
    config = """
import time
waiting = []
def pre_request(worker, req):
    waiting.append(req)
    while req.path == "/" and len(waiting) < 2:
        time.sleep(0.01)
"""
    server = serve("probe:app", config=config)
    first, second = server.connect(), server.connect()
    first.send(request("/"))
    assert second.request("/variable?name=A").status == 200
    assert first.receive().status == 200
