"""The access log: one line for each request, with the same atoms as in Gunicorn's worker."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path

import gunicorn
import pytest

from support.client import request
from support.server import Server
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Serve = Callable[..., Server]


#: Atoms that are equal for both workers, then the other ones.
SAME = ("%(h)s", "%(l)s", "%(u)s", "%(r)s", "%(s)s", "%(m)s", "%(U)s", "%(q)s", "%(H)s", "%(b)s", "%(B)s", "%(f)s",
        "%(a)s", "%({X-One}i)s", "%({host}i)s", "%({nothing}i)s", "%({Content-Type}o)s", "%({content-length}o)s",
        "%({transfer-encoding}o)s", "%({server}o)s", "%({x-made}o)s", "%({raw_uri}e)s", "%({HTTP_HOST}e)s",
        "%({wsgi.url_scheme}e)s", "%({SCRIPT_NAME}e)s", "%({nothing}e)s", "%(nothing)s")
OTHER = ("%(t)s", "%(T)s", "%(D)s", "%(M)s", "%(L)s", "%(p)s", "%({REMOTE_PORT}e)s")
FORMAT = "access|" + "|".join(SAME + OTHER)

REQUESTS = {
    "plain": request("/"),
    "a query": request("/upload?a=b&c=%20#d", headers=["X-One: 1", "X-One: 2"]),
    "escapes": request("/uplo%61d"),
    "an old client": request("/", version="1.0"),
    "a body": request("/upload", method="POST", body=b"x" * 1000),
    "a chunked response": request("/stream?parts=2"),
    "a response until the close": request("/stream?parts=2", version="1.0"),
    "agent and referrer": request("/", headers=['User-Agent: "a \\ b"', "Referer: http://example.org/?%s"]),
    "user": request("/", headers=["Authorization: Basic " + base64.b64encode(b"alice:secret").decode()]),
    "a broken user": request("/", headers=["Authorization: Basic ???"]),
    "a strange user": request("/", headers=["Authorization: Basic " + base64.b64encode(b'"\xc3\xa9').decode()]),
    "not Basic": request("/", headers=["Authorization: Bearer abc"]),
    "latin-1": b"GET / HTTP/1.1\r\nHost: test\r\nX-One: \xe4\r\nUser-Agent: \xff\r\n\r\n",
}
if gunicorn.version_info >= (27,):
    # Older releases send or count a body.
    REQUESTS["HEAD"] = request("/", method="HEAD")


def access_line(server: Server, data: bytes) -> list[str]:
    """The atoms in the access log for one request on a new connection."""
    client = server.connect()
    before = len(server.lines)
    client.send(data)
    client.receive(data.split()[0].decode())
    return server.wait_for_log(r"^access\|(.*)$", since=before)[1].split("|")


@pytest.mark.parametrize("data", REQUESTS.values(), ids=REQUESTS)
def test_atoms_equal_those_of_gunicorns_worker(serve: Serve, data: bytes) -> None:
    pytest.importorskip("gevent", reason="Gunicorn's own worker runs on gevent")
    options = ("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    ours = access_line(serve(*options), data)
    theirs = access_line(serve(*options, worker_class="gevent"), data)
    assert dict(zip(SAME, ours)) == dict(zip(SAME, theirs))


def test_atoms_of_time_and_process_are_right(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    seen = dict(zip(SAME + OTHER, access_line(server, request("/spin?seconds=0.25"))))
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", seen["%(t)s"])
    assert seen["%(T)s"] == "0"
    assert 250_000 <= int(seen["%(D)s"]) < 5_000_000
    assert 250 <= int(seen["%(M)s"]) < 5_000
    assert 0.25 <= float(seen["%(L)s"]) < 5
    assert seen["%(p)s"] == f"<{server.worker_pids()[0]}>"
    assert seen["%({REMOTE_PORT}e)s"].isdigit()


def test_failing_application_is_logged_with_500(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    seen = dict(zip(SAME, access_line(server, request("/boom"))))
    assert (seen["%(s)s"], seen["%(r)s"]) == ("500", "GET /boom HTTP/1.1")
    server.expect_traceback("ValueError: asked for")
    assert len(server.log(r"^access\|")) == 1


def test_each_request_of_a_connection_is_logged(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    client = server.connect()
    client.send(b"".join(request(f"/?{number}") for number in range(3)))
    for _ in range(3):
        client.receive()
    server.wait_for_log(r"^access\|", count=3)
    assert [line.split("|")[SAME.index("%(q)s") + 1] for line in server.log(r"^access\|")] == ["0", "1", "2"]


@pytest.mark.smoke
def test_default_format_is_the_combined_log(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-")
    response = server.connect().request("/?a=b", headers=["Referer: http://example.org/", "User-Agent: me"])
    line = server.wait_for_log(
        r'^127\.0\.0\.1 - - \[.*\] "GET /\?a=b HTTP/1\.1" 200 (\d+) "http://example\.org/" "me"$')
    assert int(line[1]) == len(response.body)


def test_no_request_is_logged_by_default(serve: Serve) -> None:
    server = serve("probe:app", "--access-logformat", "access %(r)s")
    assert server.connect().request().status == 200
    assert not server.log("access |GET /")


def test_refused_request_is_logged_as_invalid(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\nHost : test\r\n\r\n")
    assert client.receive().status == 400
    server.wait_for_log("Invalid request from ip=127.0.0.1: ")
    assert len(server.log("Invalid request")) == 1


def test_disconnected_client_is_logged_with_the_bytes_sent(serve: Serve) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", FORMAT)
    client = server.connect()
    client.send(request("/stream?parts=1000"))
    client.read(100_000)
    client.reset()
    seen = dict(zip(SAME, server.wait_for_log(r"^access\|(.*)$")[1].split("|")))
    assert (seen["%(s)s"], seen["%(r)s"]) == ("200", "GET /stream?parts=1000 HTTP/1.1")
    assert 0 < int(seen["%(B)s"]) < 1000 * 65536


LOGGER = """
from gunicorn.glogging import Logger

class Loud(Logger):
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["loud"] = environ["PATH_INFO"].upper()
        return atoms

class Own(Logger):
    def access(self, resp, req, environ, request_time):
        self.info("own %s %s %s %s %d", resp.status.split()[0], req.method, environ["RAW_URI"], resp.sent,
                  request_time.total_seconds())
"""


def test_logger_class_may_add_atoms(start: Serve, tmp_path: Path) -> None:
    (tmp_path / "loggers.py").write_text(LOGGER)
    server = start("probe:app", "--chdir", tmp_path, "--logger-class", "loggers.Loud", "--access-logfile", "-",
                   "--access-logformat", "access|%(loud)s|%(s)s")
    assert server.connect().request("/variable?name=A").status == 200
    server.wait_for_log(r"^access\|/VARIABLE\|200$")


def test_logger_class_may_override_access(start: Serve, tmp_path: Path) -> None:
    # It is called for each request although no access log is configured.
    (tmp_path / "loggers.py").write_text(LOGGER)
    server = start("probe:app", "--chdir", tmp_path, "--logger-class", "loggers.Own")
    response = server.connect().request("/variable?name=A")
    server.wait_for_log(rf"own 200 GET /variable\?name=A {len(response.body)} 0$")


def test_logger_class_may_be_a_class(start: Serve) -> None:
    server = start("probe:app", config=LOGGER + "logger_class = Own\n")
    assert server.connect().request("/variable?name=A").status == 200
    server.wait_for_log(r"own 200 GET /variable\?name=A 4 0$")


# Failures that must not stop a request


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_unwritable_log_does_not_stop_requests(start: Serve) -> None:
    server = start("socket_access:app", "--access-logfile", "/dev/full")
    first = server.connect()
    before = int(first.request("/descriptors").body)
    first.send(request("/") * 5)
    for _ in range(5):
        assert first.receive().status == 200
    clients = [server.connect() for _ in range(5)]
    gate = server.word()
    for client in clients:
        client.send(request(f"/wait?{gate}"))
    server.wait_for_log("^waiting$", count=5)
    assert server.connect().request(f"/open?{gate}").status == 200
    for client in clients:
        assert client.receive().status == 200
        assert client.request("/").status == 200
    for client in server.clients[1:]:
        client.close()
    until(lambda: int(first.request("/descriptors").body) <= before, "the worker has closed the connections")
    # The logging module prints tracebacks, perhaps after the response.
    assert server.stop() == 0
    while server.unexpected_tracebacks():
        server.expect_traceback("No space left on device")


def test_request_without_an_environ_is_answered_and_logged(serve: Serve) -> None:
    server = serve("socket_access:app", "--access-logfile", "-", env={"SCRIPT_NAME": "/pre"})
    for data in (request("/other"), request("/pre/") + request("/other"), request("/pre/") * 2 + request("/other")):
        client = server.connect()
        client.send(data)
        for _ in range(data.count(b"/pre/")):
            assert client.receive().status == 200
        response = client.receive()
        assert (response.status, response.reason, response.closes) == (500, "Internal Server Error", True)
        client.expect_close()
    server.wait_for_log("Request path '/other' does not start with SCRIPT_NAME '/pre'", count=3)


def test_failing_pre_request_hook_is_answered_with_500(serve: Serve) -> None:
    config = """
def pre_request(worker, req):
    if req.path == "/bad":
        raise LookupError("deliberate")
"""
    server = serve("socket_access:app", "--access-logfile", "-", config=config)
    for data in (request("/bad"), request("/") + request("/bad")):
        client = server.connect()
        client.send(data)
        for _ in range(data.count(b"GET / ")):
            assert client.receive().status == 200
        response = client.receive()
        assert (response.status, response.closes) == (500, True)
        client.expect_close()
        server.expect_traceback("^LookupError: deliberate$")
    assert server.connect().request().status == 200
