"""Clients that leave while their request runs: detected for the requests that ask, or cancelled."""

from __future__ import annotations

import pytest

from support.client import request

pytestmark = pytest.mark.only(parser="fast")
GONE = "^the client is gone: True$"
LOG = ("--access-logfile", "-", "--access-logformat", "logged %(r)s %(s)s")


@pytest.fixture
def server(serve):
    return serve("slow_requests:app", *LOG)


@pytest.mark.parametrize("path", ["/poll-client", "/wait-for-client"])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves_is_detected(server, path, leave):
    client = server.connect()
    client.send(request(path))
    assert server.connect().request("/").status == 200
    getattr(client, leave)()
    server.wait_for_log(GONE)


def test_client_that_closes_its_sending_side_is_there(server):
    client = server.connect()
    client.send(request("/wait-for-client?1"))
    client.half_close()
    response = client.receive()
    while response.status == 100:
        response = client.receive()
    assert (response.status, response.body) == (200, b"False")


@pytest.mark.only(transport="tcp", parser="fast")
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves_during_a_response_is_detected(server, leave):
    client = server.connect()
    client.send(request("/first-part?60&"))
    received = b""
    while not received.endswith(b"first\r\n"):
        received += client.receive_once()
    getattr(client, leave)()
    server.wait_for_log(GONE)


@pytest.mark.parametrize("part", ["", "last"])
def test_response_to_a_client_that_closes_its_sending_side_is_intact(server, part):
    client = server.connect()
    client.send(request(f"/first-part?1&{part}"))
    client.half_close()
    response = client.receive()
    assert (response.status, response.text) == (200, f"first{part}")
    client.expect_close()


@pytest.mark.full
def test_part_that_is_sent_slowly_to_such_a_client_is_intact(serve):
    server = serve("slow_requests:app", *LOG, settings={"on_client_gone": "cancel"})
    client = server.connect()
    client.send(request("/large-parts"))
    client.half_close()
    # The worker has checked its clients several times since it began to send.
    assert server.connect().request("/wait-for-client?1").body == b"False"
    assert client.receive().body == b"1" * 4_000_000 + b"2" * 4_000_000


def test_client_that_stays_is_there(server):
    assert server.connect().request("/wait-for-client?0.5").body == b"False"


@pytest.mark.smoke
def test_request_is_cancelled(serve):
    server = serve("slow_requests:app", *LOG, settings={"on_client_gone": "cancel"})
    client = server.connect()
    client.send(request("/wait?catching_exceptions"))
    assert server.connect().request("/").status == 200
    client.close()
    server.wait_for_log("^the request has ended with gworkers.errors.ClientGone$")
    server.wait_for_log(r"^logged GET /wait\?catching_exceptions HTTP/1\.1 499$")
    assert server.log("Error handling|an Exception was caught") == []
    assert server.connect().request("/short").body == b"unset"


def cancelled(server, path):
    """Cancel the request for *path*, whose cleanup waits. Return the name by which it is opened."""
    name = server.word()
    client = server.connect()
    client.send(request(f"{path}?{name}"))
    assert server.connect().request("/").status == 200
    client.close()
    server.wait_for_log(f"^{name} cleans up$")
    return name


def test_drain_waits_for_the_cleanup_of_a_cancelled_request(start):
    server = start("slow_requests:app", settings={"on_client_gone": "cancel"})
    name = cancelled(server, "/slow-cleanup")
    opener = server.connect()
    assert opener.request("/").status == 200
    server.process.terminate()
    server.wait_for_log("Handling signal: term")
    opener.send(request(f"/open?{name}"))
    server.wait_for_log(f"^{name} is clean$")


def test_cancelled_request_does_not_time_out_as_well(serve):
    server = serve("slow_requests:app", *LOG, settings={
        "on_client_gone": "cancel", "request_timeout": 1, "request_timeout_action": "cancel"})
    name = cancelled(server, "/slow-cleanup")
    # This one times out later than the other one would.
    assert server.connect().request("/wait?in_a_sleep").status == 504
    assert server.log("Request timeout .* GET /slow-cleanup") == []
    assert server.connect().request(f"/open?{name}").status == 200
    server.wait_for_log(f"^{name} is clean$")
    assert len(server.log("^logged GET /slow-cleanup")) == 1
