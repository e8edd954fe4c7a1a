"""``Expect: 100-continue``: RFC 9110 section 10.1.1."""

from __future__ import annotations

import pytest

from support.client import chunked, request

EXPECT = "Expect: 100-continue"


def expecting(path, length=5, version="1.1"):
    """The head of a request that waits for a 100 response before it sends its body."""
    return request(path, method="POST", version=version, headers=[EXPECT, f"Content-Length: {length}"])


@pytest.mark.parametrize("path", ["/echo", "/caught", "/digest", "/some?1000"])
@pytest.mark.smoke
def test_reading_sends_100_once(site, path):
    client = site("bodies").connect()
    for _ in range(2):
        client.send(expecting(path))
        client.expect_continue()
        client.send(b"hello")
        response = client.receive()
        assert (response.status, response.interim) == (200, [])


@pytest.mark.smoke(validated=True)
def test_reading_a_chunked_body_sends_100(site):
    client = site("bodies").connect()
    client.send(request("/echo", method="POST", headers=[EXPECT, "Transfer-Encoding: chunked"]))
    client.expect_continue()
    client.send(chunked(b"hel", b"lo"))
    assert client.receive().body == b"hello"


def test_expectation_in_any_case(site):
    client = site("bodies").connect()
    client.send(request("/echo", method="POST", headers=["expect: 100-Continue", "Content-Length: 5"]))
    client.expect_continue()
    client.send(b"hello")
    assert client.receive().body == b"hello"


@pytest.mark.parametrize("path", ["/ignored", "/ignored-parts", "/nowhere"])
def test_no_100_if_the_body_is_not_read(site, path):
    """The server cannot know whether a body follows, so it closes the connection."""
    client = site("bodies").connect()
    client.send(expecting(path))
    response = client.receive()
    assert (response.status, response.interim) == (404 if path == "/nowhere" else 200, [])
    client.half_close()
    client.expect_close()


def test_100_is_sent_when_the_body_is_read_later(site):
    server = site("bodies")
    client = server.connect()
    gate = server.word()
    client.send(expecting(f"/after-gate?{gate}"))
    server.wait_for_log("handler waits")
    server.connect().request(f"/open?{gate}")
    client.expect_continue()
    client.send(b"hello")
    assert client.receive().body == b"hello"


def test_no_100_inside_a_response(site):
    client = site("bodies").connect()
    client.send(expecting("/after-head"))
    seen = b""
    while b"before," not in seen:
        part = client.receive_once()
        assert part, f"the connection ended after {seen!r}"
        seen += part
    assert seen.startswith(b"HTTP/1.1 200 ")
    client.buffer = seen
    client.send(b"hello")
    assert client.receive().body == b"before,hello"


def test_no_100_if_the_body_has_arrived(site):
    client = site("bodies").connect()
    for _ in range(2):
        client.send(expecting("/echo") + b"hello")
        response = client.receive()
        assert response.body == b"hello"
        assert [interim.status for interim in response.interim] in ([], [100])


def test_no_100_if_the_body_has_arrived_and_is_not_read(site):
    client = site("bodies").connect()
    client.send(expecting("/ignored") + b"hello" + request("/echo", method="POST", body=b"next"))
    response = client.receive()
    assert (response.body, response.interim) == (b"not read", [])
    rest = client.read_to_end() if response.closes else client.receive().body
    assert rest == (b"" if response.closes else b"next")


def test_expectation_is_ignored_in_http_1_0(site):
    client = site("bodies").connect()
    client.send(expecting("/echo", version="1.0") + b"hello")
    response = client.receive()
    assert (response.body, response.interim) == (b"hello", [])


def test_no_100_without_a_body(site):
    client = site("bodies").connect()
    for headers in ([EXPECT], [EXPECT, "Content-Length: 0"]):
        response = client.request("/echo", headers=headers)
        assert (response.status, response.body) == (200, b"")


def test_client_that_disconnects_instead_of_sending(site):
    server = site("bodies")
    client = server.connect()
    client.send(expecting("/caught"))
    client.expect_continue()
    client.send(b"he")
    client.half_close()
    server.wait_for_log("body failed: .* after b'he'")


@pytest.mark.parametrize("value", ["200-ok", "100-continue, other", "100-continue;x=y", "", "100"])
def test_unknown_expectation(serve, value):
    server = serve("bodies:app")
    client = server.connect()
    client.send(request("/echo", method="POST", headers=[f"Expect: {value}", "Content-Length: 5"]))
    assert client.receive().status == 417
    client.expect_close()
    assert len(server.whole_log("Invalid request from ip=.*expectation")) == 1
