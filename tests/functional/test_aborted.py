"""Requests that are aborted after ``graceful_timeout``: to the application their client has disconnected."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from support.client import request
from support.tls import secured

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

UPLOAD = {"headers": ["Content-Length: 1000000000"], "method": "POST"}
UPGRADE: dict[str, Any] = {"headers": ["Upgrade: x", "Connection: upgrade"]}


@pytest.fixture(params=["plain", "tls"])
def security(request):
    return request.param


@pytest.fixture
def server(start, security, request):
    options = ("--certfile", request.getfixturevalue("certificate")) if security == "tls" else ()
    # A quarter of it is left for the application after the abort.
    return start("read_after_abort:app", "--graceful-timeout", 4, *options)


@pytest.fixture
def client(server, security, trusting):
    return secured(server, trusting) if security == "tls" else server.connect()


@pytest.mark.parametrize(("path", "how", "counted", "end"), [
    ("/upload", UPLOAD, "Aborted requests", "reading failed: a ConnectionError is True"),
    ("/upgrade", UPGRADE, "Disconnected WebSockets, .*", "read to the end|reading failed"),
], ids=["upload", "upgrade"])
@pytest.mark.sample(2)
def test_application_reads_what_its_client_sent_then_gets_an_error(
        server, client, tmp_path, path, how, counted, end):
    gate = tmp_path / "gate"
    client.send(request(f"{path}?{gate}", **how))
    if how is UPGRADE:
        assert client.receive().status == 101
    # Several TLS records, of which the application has read at most one.
    for _ in range(10):
        client.send(b"x" * 10000)
    server.wait_for_log("^reading$")
    server.signal(signal.SIGTERM)
    server.wait_for_log(rf"Worker graceful timeout \(pid:\d+\)\. {counted}: 1\.")
    gate.touch()
    server.wait_for_log(f"^{end}")
    client.read_to_end()
    assert server.wait_for_exit() == 0
    assert server.log("foreign bytes|ERROR") == []


def test_response_that_is_being_sent_is_aborted(server, client):
    client.send(request("/large"))
    assert client.receive_once().startswith(b"HTTP/1.1 200 OK")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert len(client.read_to_end()) < 40 << 20
    assert server.log("ERROR") == []


def test_abort_of_a_socket_that_the_application_has_closed(server, client, tmp_path):
    client.send(request(f"/closed?{tmp_path / 'gate'}", **UPGRADE))
    assert client.receive().status == 101
    server.wait_for_log("^closed$")
    server.signal(signal.SIGTERM)
    server.wait_for_log(r"Worker graceful timeout \(pid:\d+\)\. Disconnected WebSockets, .*: 1\.")
    (tmp_path / "gate").touch()
    assert server.wait_for_exit() == 0
    assert server.log("ERROR") == []
