"""Greenlets and timeouts that an application leaves running do not affect later requests."""

from __future__ import annotations

import pytest

from support.client import ClosedError, chunked, request
from support.waiting import until

# Transport and parser make no difference here.
pytestmark = pytest.mark.only(transport="tcp", parser="fast")


def ask(server, target):
    """Send a request on its own connection and return the body of the response."""
    client = server.connect()
    response = client.request(target, headers=["Connection: close"])
    client.expect_close()
    client.close()
    assert response.status == 200
    return response.body


# The request greenlet


def test_timeouts_that_expire_after_their_requests(serve):
    server = serve("after_the_response:app", "--worker-connections", 4)
    for _ in range(8):
        gate = server.word()
        ask(server, f"/open?{gate}")
        ask(server, f"/leave-timeout?{gate}")
        until(lambda: ask(server, "/running-timeouts") == b"0", "the timeout has expired")
        assert ask(server, "/") == b"ok"
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        assert client.request().status == 200


def test_timeouts_in_several_greenlets_at_once(serve):
    server = serve("after_the_response:app", "--worker-connections", 4)
    for _ in range(3):
        gate = server.word()
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.send(request(f"/leave-timeout?{gate}", headers=["Connection: close"]))
        server.wait_for_log("^about to leave a timeout$", count=3)
        server.begin()
        ask(server, f"/open?{gate}")
        for client in clients:
            assert client.receive().status == 200
            client.expect_close()
        until(lambda: ask(server, "/running-timeouts") == b"0", "the timeouts have expired")
        clients = [server.connect() for _ in range(4)]
        for client in clients:
            client.send(request())
        for client in clients:
            assert client.receive().status == 200
            client.close()


def test_kill_after_the_request(serve):
    server = serve("after_the_response:app", "--worker-connections", 4)
    for _ in range(8):
        word = server.word()
        ask(server, f"/kill-later?{word}")
        ask(server, f"/open?{word}")
        server.wait_for_log(f"^killed {word}$")
        assert ask(server, "/") == b"ok"
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        assert client.request().status == 200


# wsgi.input


BODIES = pytest.mark.parametrize(("headers", "body", "at"), [
    (["Content-Length: 6"], b"abcdef", 4),
    (["Transfer-Encoding: chunked"], chunked(b"abc", b"def"), 8),
], ids=["length", "chunked"])


@BODIES
def test_greenlet_that_still_reads_the_body(serve, headers, body, at):
    server = serve("after_the_response:app")
    client = server.connect()
    word, gate = server.word(), server.word()
    client.send(request(f"/read-on?{word}", method="POST", headers=headers) + body[:at])
    assert client.receive().body == b"ok"
    try:
        client.send(body[at:] + request(f"/echo-later?{gate}", method="POST", headers=["Content-Length: 12"]))
        client.send(b"SECRET")
        server.connect().request(f"/open?{gate}")
        client.send(b"PUBLIC")
        response = client.receive()
    except (ClosedError, ConnectionError):
        # The connection was closed, because the start of the next request is unknown.
        pass
    else:
        assert (response.status, response.body) == (200, b"SECRETPUBLIC")
    server.wait_for_log(f"^{word} got OSError$")
    assert server.connect().request().status == 200


@BODIES
def test_greenlet_that_reads_the_body_later(serve, headers, body, at):
    server = serve("after_the_response:app")
    client = server.connect()
    word, gate = server.word(), server.word()
    assert client.request(f"/read-later?{word}", method="POST", headers=headers, body=body).body == b"ok"
    client.send(request(f"/echo-later?{gate}", method="POST", headers=["Content-Length: 12"]) + b"SECRET")
    server.wait_for_log(f"^{gate} waits$")
    server.connect().request(f"/open?{word}")
    server.wait_for_log(rf"^{word} got (OSError|b'')$")
    server.connect().request(f"/open?{gate}")
    client.send(b"PUBLIC")
    assert client.receive().body == b"SECRETPUBLIC"
    assert client.request().status == 200


@BODIES
def test_greenlet_that_reads_a_body_that_never_ends(serve, headers, body, at):
    server = serve("after_the_response:app", settings={"linger_timeout": 0.1})
    client = server.connect()
    word = server.word()
    client.send(request(f"/read-later?{word}", method="POST", headers=headers) + body[:at])
    assert client.receive().body == b"ok"
    client.expect_close()
    server.connect().request(f"/open?{word}")
    server.wait_for_log(f"^{word} got OSError$")


# write() and early hints


@pytest.mark.parametrize("path", ["write-later", "write-later-whole"])
def test_write_after_the_response(serve, path):
    server = serve("after_the_response:app")
    client = server.connect()
    word, gate = server.word(), server.word()
    assert client.request(f"/{path}?{word}").body in (b"one,two", b"one,")
    client.send(request(f"/echo-later?{gate}", method="POST", body=b"the next"))
    server.wait_for_log(f"^{gate} waits$")
    server.connect().request(f"/open?{word}")
    server.wait_for_log(f"^{word} got RuntimeError$")
    server.connect().request(f"/open?{gate}")
    assert client.receive().body == b"the next"
    assert client.request().body == b"ok"


@pytest.mark.parametrize("path", ["write-later", "write-later-whole", "hint-later"])
def test_write_on_an_idle_connection(serve, path):
    server = serve("after_the_response:app")
    client = server.connect()
    word = server.word()
    assert client.request(f"/{path}?{word}").status == 200
    server.connect().request(f"/open?{word}")
    server.wait_for_log(f"^{word} got ")
    response = client.request(headers=["Connection: close"])
    assert (response.body, response.interim) == (b"ok", [])
    client.expect_close()


def test_early_hints_after_the_response(serve):
    server = serve("after_the_response:app")
    client = server.connect()
    word, gate = server.word(), server.word()
    assert client.request(f"/hint-later?{word}").body == b"ok"
    client.send(request(f"/echo-later?{gate}", method="POST", body=b"the next"))
    server.wait_for_log(f"^{gate} waits$")
    server.connect().request(f"/open?{word}")
    server.wait_for_log(f"^{word} got ")
    server.connect().request(f"/open?{gate}")
    response = client.receive()
    assert (response.body, response.interim) == (b"the next", [])
