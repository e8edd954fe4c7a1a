"""Invalid responses of an application are refused and logged. The client never gets a part that looks complete."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from support.client import ClosedError, request


def assert_refused(server, path, error):
    """The response is a 500 that closes the connection, and the error is logged once."""
    client = server.connect()
    client.send(request(path))
    response = client.receive()
    assert (response.status, response.closes) == (500, True)
    assert b"body" not in response.body.replace(b"<body>", b"").replace(b"</body>", b"")
    client.expect_close()
    traceback = server.expect_traceback(error)
    assert server.connect().request("/one").status == 200
    return traceback


@pytest.mark.parametrize(("path", "error"), [
    ("/fails", "LookupError: deliberate"),
    ("/exits", "SystemExit: deliberate"),
    ("/silent", "Error"),
    ("/text", "TypeError"),
    ("/twice", "AssertionError"),
])
def test_application_that_fails_before_its_head(serve, path, error):
    assert_refused(serve("responses:app"), path, error)


def test_error_after_the_head_ends_the_connection(serve):
    server = serve("responses:app")
    client = server.connect()
    client.send(request("/closing-after-error?late") + request("/one"))
    with pytest.raises(ClosedError):
        client.receive()
    server.expect_traceback("LookupError: deliberate")
    assert server.connect().request("/one").status == 200


@pytest.mark.parametrize("status", [
    "200OK", "OK", "20 OK", "2000 OK", "200 OK\r\nX-Injected: 1", "200 OK\n", "200 O\0K", "", " 200 OK",
    "\xb2\xb2\xb2 OK",
])
def test_invalid_status(serve, status):
    quoted = quote(status, encoding="latin-1")
    assert_refused(serve("responses:app"), f"/status?{quoted}", "ValueError")


@pytest.mark.parametrize("status", [
    "100 Continue", "102 Processing", "103 Early Hints", "199 Odd", "099 Low", "000 None", "000",
])
def test_status_that_is_not_final(serve, status):
    """A client would take the response to its next request for this one (RFC 9110 section 15.2)."""
    server = serve("responses:app")
    for _ in range(2):
        traceback = assert_refused(server, f"/status?{quote(status)}", "^ValueError")
        assert f"invalid status {status!r}: " in traceback


@pytest.mark.parametrize(("name", "value"), [
    ("X-Name", "value\r\nX-Injected: 1"), ("X-Name", "value\nX-Injected: 1"), ("X-Name", "value\rX-Injected: 1"),
    ("X-Name", "value\r\n\r\n<script>"), ("X-Name", "\0"), ("X-Name", "a\x7fb"), ("X-Name", "a\x1bb"),
    ("X-Name\r\nX-Injected", "1"), ("X-Name\n", "1"), ("X Name", "1"), ("X-Name:", "1"), ("", "1"), ("X-N\xe4me", "1"),
    ("Set-Cookie", "a=b\r\nSet-Cookie: c=d"), ("Content-Length", "4\r\nX-Injected: 1"),
])
def test_header_injection(serve, name, value):
    pair = f"{quote(name, encoding='latin-1')}={quote(value, encoding='latin-1')}"
    traceback = assert_refused(serve("responses:app"), f"/fields?{pair}", "(Invalid|invalid|Error)")
    assert "X-Injected: 1" not in traceback.rpartition("\n")[2], "the log contains a value that may be secret"


@pytest.mark.parametrize("kind", ["name", "value", "number"])
def test_header_of_another_type(serve, kind):
    assert_refused(serve("responses:app"), f"/typed?{kind}", "TypeError")


@pytest.mark.parametrize("value", ["abc", "-1", "1_0", "+4", "", "4, 4"])
def test_invalid_content_length(serve, value):
    assert_refused(serve("responses:app"), f"/fields?Content-Length={quote(value)}", "(Error|Invalid)")


# Header fields that Gunicorn allows

def fields(serve, query):
    return serve("responses:app").connect().request(f"/fields?{query}")


@pytest.mark.parametrize("name", [
    "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers", "Transfer-Encoding",
    "Upgrade", "Server", "Date",
])
def test_hop_by_hop_fields_are_left_out(serve, name):
    client = serve("responses:app").connect()
    for _ in range(2):
        response = client.request(f"/fields?{name}=of-the-app&X-Kept=1")
        assert "of-the-app" not in [value for _, value in response.headers]
        assert (response.header("x-kept"), response.body) == ("1", b"body")
        assert not response.closes


def test_connection_field_of_the_application_can_only_close(serve):
    assert fields(serve, "Connection=close").closes
    assert fields(serve, f"Connection={quote('Keep-Alive, Close')}").closes
    assert not fields(serve, "Connection=keep-alive").closes
    assert serve("responses:app").connect().request("/fields?Connection=keep-alive", version="1.0").closes


def test_upgrade_to_websocket_is_allowed(serve):
    response = fields(serve, "Connection=Upgrade&Upgrade=websocket")
    assert response.header("upgrade") == "websocket"
    assert response.header("connection") == "upgrade"


def test_repeated_fields_are_kept_in_order(serve):
    response = fields(serve, "Set-Cookie=a&Set-Cookie=b&X-Name=c&X-Name=d")
    assert response.all("set-cookie") == ["a", "b"]
    assert response.all("x-name") == ["c", "d"]


def test_values_are_latin_1_and_stripped(serve):
    response = fields(serve, f"X-Name={quote('  caf' + chr(0xe9) + chr(9) + 'noir ', encoding='latin-1')}")
    assert b"X-Name: caf\xe9\tnoir\r\n" in response.head


# close() of the iterable that the application returned

@pytest.mark.parametrize(("path", "method"), [
    ("/closing", "GET"), ("/closing", "HEAD"),
    ("/closing-after-error?soon", "GET"), ("/closing-after-error?late", "GET"),
])
def test_close_is_called_once(serve, path, method):
    server = serve("responses:app")
    client = server.connect()
    client.send(request(path, method=method))
    client.read_to_end() if "error" in path else client.receive(method)
    server.wait_for_log("close\\(\\) was called")
    if "error" in path and method == "GET":
        server.expect_traceback("LookupError: deliberate")
    assert len(server.whole_log("close\\(\\) was called")) == 1


@pytest.mark.parametrize("leave", ["reset", "close"])
def test_close_is_called_when_the_client_has_disconnected(serve, leave):
    server = serve("responses:app")
    client = server.connect()
    client.send(request("/closing-endless"))
    assert client.receive_once()
    getattr(client, leave)()
    server.wait_for_log("close\\(\\) was called")
    assert len(server.whole_log("close\\(\\) was called")) == 1


def test_close_that_fails_is_logged(serve):
    server = serve("responses:app")
    client = server.connect()
    client.send(request("/closing-fails"))
    client.read_to_end()
    server.expect_traceback("LookupError: deliberate, in close")
    assert server.connect().request("/one").status == 200
