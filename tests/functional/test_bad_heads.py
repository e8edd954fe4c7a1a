"""Request heads that must be refused: the right status, a close, one log line, and the next client is served.

The verdicts are those of Gunicorn's own parser in its newest release, on every release and with either parser.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from support.client import request

GET = b"GET / HTTP/1.1\r\nHost: test\r\n"


def head(*lines):
    """A GET with these header lines."""
    return GET + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines):
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REQUEST_LINES = [
    b"", b" ", b"GET", b"GET /", b"GET / ", b" GET / HTTP/1.1", b"GET  / HTTP/1.1", b"GET /  HTTP/1.1",
    b"GET / HTTP/1.1 ", b"GET / HTTP/1.1 x", b"GET\t/\tHTTP/1.1", b"GET /\tHTTP/1.1", b"GET /a b HTTP/1.1",
    b"GET  HTTP/1.1", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\rHost: x",
    # versions
    b"GET / HTTP/0.9", b"GET / HTTP/2.0", b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/1.10", b"GET / HTTP/11.1",
    b"GET / http/1.1", b"GET / HTTPS/1.1", b"GET / HTTP/1,1", b"GET / HTTP/-1.1", b"GET / HTTP/1.x",
    b"GET / HTTP/\xb1.1",
    b"GET / HTTP/3.0", b"GET / 1.1", b"GET / ICY/1.1",
    # methods
    b"get / HTTP/1.1", b"Get / HTTP/1.1", b"GE / HTTP/1.1", b"G\0T / HTTP/1.1", b"G(T / HTTP/1.1", b"G\xcbT / HTTP/1.1",
    b"GET: / HTTP/1.1", b"A" * 21 + b" / HTTP/1.1", b"GE#T / HTTP/1.1", b'"GET" / HTTP/1.1',
    # targets
    b"GET test HTTP/1.1", b"GET test:80 HTTP/1.1", b"GET * HTTP/1.1", b"GET /\0 HTTP/1.1", b"GET /\x01 HTTP/1.1",
    b"GET /\x7f HTTP/1.1", b"GET /\x80 HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET /\x0b HTTP/1.1",
    b"GET http://[::1/ HTTP/1.1", b"GET ?a HTTP/1.1", b"GET #a HTTP/1.1", b"GET \\ HTTP/1.1",
]

HEADERS = [
    b"Name", b": value", b" Name: value", b"\tName: value", b"Name : value", b"Name\t: value", b"Na me: value",
    b"Na\0me: v", b"N\xe4me: v", b"Name(): v", b"Name\x0b: v", b"Na/me: v", b"N@me: v", b'"Name": v', b"[Name]: v",
    b"Name;: v", b"Name,: v", b"\xa0Name: v", b"Name: a\0b", b"Name: a\rb", b"Name: a\x0bb", b"Name: a\x7fb",
    b"Name: \x1b[31m", b"Name: a\x01", b"Name:\x0cv", b"Name: v\r", b"=Name: v", b"X_Name: v", b"Content_Length: 5",
    b"Host : other", b"Transfer-Encoding : chunked", b"Transfer_Encoding: chunked", b"Content-Length\x0b: 5",
]

LINE_ENDS = [
    b"GET / HTTP/1.1\nHost: test\n\n", b"GET / HTTP/1.1\nHost: test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\nX: y\r\n\r\n", b"GET / HTTP/1.1\r\nHost: test\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\r\n\nX: y\r\n\r\n", b"\nGET / HTTP/1.1\r\n\r\n",
    b"\n", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"\r\rGET / HTTP/1.1\r\n\r\n", b"\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\r\nX: y\n z\r\n\r\n", b"GET / HTTP/1.1\r\r\nHost: test\r\n\r\n",
    # folded lines
    b"GET / HTTP/1.1\r\nHost: test\r\nX: y\r\n z\r\n\r\n", b"GET / HTTP/1.1\r\nHost: test\r\nX: y\r\n\tz\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:\r\n test\r\n\r\n", b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\nX: y\r\n \r\n\r\n",
]

FRAMING = [
    # both framings
    [b"Content-Length: 5", b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
    [b"Content-Length: 0", b"Transfer-Encoding: chunked"], [b"Content-Length: 5", b"Transfer-Encoding: identity"],
    # two lengths
    [b"Content-Length: 5", b"Content-Length: 5"], [b"Content-Length: 5", b"Content-Length: 6"],
    [b"Content-Length: 5", b"content-length: 5"], [b"Content-Length: 5, 5"], [b"Content-Length: 5,6"],
    # no lengths
    [b"Content-Length:"], [b"Content-Length: -1"], [b"Content-Length: +5"], [b"Content-Length: 5 5"],
    [b"Content-Length: 0x5"], [b"Content-Length: 5.0"], [b"Content-Length: 1e1"], [b"Content-Length: 5;"],
    [b"Content-Length: 1_0"], [b"Content-Length: \xb2"], [b"Content-Length: five"], [b'Content-Length: "5"'],
    # lists of codings
    [b"Transfer-Encoding: chunked, chunked"], [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    [b"Transfer-Encoding: chunked, gzip"], [b"Transfer-Encoding: chunked, identity"], [b"Transfer-Encoding: identity"],
    [b"Transfer-Encoding: gzip"], [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
]

UNKNOWN_CODINGS = [
    [b"Transfer-Encoding: xchunked"], [b"Transfer-Encoding: chunkedx"], [b"Transfer-Encoding: chunked;q=1"],
    [b"Transfer-Encoding:"], [b"Transfer-Encoding: chunked,"], [b"Transfer-Encoding: ,chunked"],
    [b"Transfer-Encoding: br, chunked"], [b'Transfer-Encoding: "chunked"'], [b"Transfer-Encoding: x chunked"],
]

SINGLETONS = [
    [b"Host: other"], [b"host: test"], [b"Content-Type: a/b", b"Content-Type: a/b"],
]


def assert_refused(server, data, status=400):
    client = server.connect()
    client.send(data)
    response = client.receive()
    assert (response.status, response.closes) == (status, True)
    client.expect_close()
    assert len(server.whole_log("Invalid request from ip=")) == 1
    assert server.connect().request().status == 200


@pytest.mark.parametrize("line", REQUEST_LINES, ids=repr)
def test_request_line(serve, line):
    assert_refused(serve("bodies:app"), line + b"\r\nHost: test\r\n\r\n")


@pytest.mark.parametrize("line", HEADERS, ids=repr)
def test_header_line(serve, line):
    assert_refused(serve("bodies:app", "--header-map", "refuse"), head(line))


@pytest.mark.parametrize("data", LINE_ENDS, ids=repr)
def test_line_ends(serve, data):
    assert_refused(serve("bodies:app"), data)


@pytest.mark.parametrize("lines", FRAMING + SINGLETONS, ids=repr)
def test_framing(serve, lines):
    assert_refused(serve("bodies:app"), post(*lines) + b"0\r\n\r\n")


@pytest.mark.parametrize("lines", UNKNOWN_CODINGS, ids=repr)
def test_unknown_transfer_coding(serve, lines):
    assert_refused(serve("bodies:app"), post(*lines) + b"0\r\n\r\n", 501)


def test_chunks_are_not_for_http_1_0(serve):
    data = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert_refused(serve("bodies:app"), data)


@pytest.mark.parametrize("data", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n", b"\0" * 100 + b"\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(range(256)) + b"\r\n\r\n",
    b"\xff" * 100 + b"\r\n\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GET + b"\r\n",
], ids=lambda data: repr(data[:16]))
def test_other_protocols(serve, data):
    assert_refused(serve("bodies:app"), data)


@pytest.mark.parametrize(("data", "status"), [
    (b"GET /" + b"x" * 180 + b" HTTP/1.1\r\n" + b"Host: test\r\n\r\n", 200),
    (b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n" + b"Host: test\r\n\r\n", 414),
    (b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\n" + b"Host: test\r\n\r\n", 414),
    (b"GET /" + b"x" * 300, 414),
    (head(*[b"X-%d: y" % number for number in range(9)]), 200),
    (head(*[b"X-%d: y" % number for number in range(10)]), 431),
    (head(*[b"X-%d: y" % number for number in range(5000)]), 431),
    (head(b"X-Long: " + b"y" * 280), 200),
    (head(b"X-Long: " + b"y" * 300), 431),
    (head(b"X-Long: " + b"y" * 100000), 431),
    (GET + b"X-Long: " + b"y" * 20000, 431),
    (head(b"Long" * 100 + b": y"), 431),
], ids=lambda value: repr(value[:40]) + str(len(value)) if isinstance(value, bytes) else None)
@pytest.mark.smoke
def test_limits(serve, data, status):
    server = serve("echo:app", "--limit-request-line", 200, "--limit-request-fields", 10,
                   "--limit-request-field_size", 300)
    client = server.connect()
    client.send(data)
    response = client.receive()
    assert response.status == status
    if status != 200:
        client.expect_close()
        server.wait_for_log("Invalid request from ip=")
        assert server.connect().request().status == 200
        assert len(server.log("Invalid request from ip=")) == 1


@pytest.mark.parametrize("data", [
    b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n", head(b"Name : value"), b"GET / HTTP/1.1\nHost: test\n\n",
    head(b"Name: value", b" folded"),
], ids=repr)
def test_bad_head_split_anywhere(serve, data):
    server = serve("bodies:app")
    for split in range(1, len(data)):
        client = server.connect()
        try:
            client.send_pieces([data[:split], data[split:]])
        except ConnectionError:
            pass  # Refused before the rest came.
        assert client.receive().status == 400, f"split at {split}"
        client.close()
    assert len(server.whole_log("Invalid request from ip=")) == len(data) - 1


@pytest.mark.smoke
def test_error_page(serve):
    client = serve("bodies:app").connect()
    client.send(b"GET /<script> HTTP/1.1\r\n<script>: x\r\n\r\n")
    response = client.receive()
    assert response.header("content-type") == "text/html"
    assert response.framing == "length"
    assert b"<h1><p>Bad Request</p></h1>" in response.body
    assert b"<script>" not in response.body


@pytest.mark.parametrize("data", [
    b"nonsense\r\n\r\n", request("/fails"), request("/echo", headers=["Content-Length: 1"]), b"GET / HT",
], ids=["refused", "error of the application", "truncated body", "late"])
def test_error_page_has_the_fields_of_a_response(serve, data):
    """RFC 9110 section 6.6.1"""
    server = serve("bodies:app", settings={"head_timeout": 0.3})
    whole = server.connect().request("/ignored", headers=["Connection: close"])
    client = server.connect()
    client.send(data)
    if b"Content-Length" in data:
        client.half_close()
    response = client.receive()
    assert response.status in (400, 408, 500)
    assert (response.header("server"), response.closes) == (whole.header("server"), True)
    assert parsedate_to_datetime(response.header("date")) >= parsedate_to_datetime(whole.header("date"))
    assert [name for name, _ in response.headers[:3]] == [name for name, _ in whole.headers[:3]]
    if response.status == 500:
        server.expect_traceback("LookupError: deliberate")


def test_truncated_head_at_every_byte(serve):
    """A client that leaves has made no bad request: not a line about it."""
    server = serve("bodies:app")
    data = request("/echo", method="POST", headers=["X-Name: value", "Content-Length: 5"])
    for size in range(len(data)):
        client = server.connect()
        client.send(data[:size])
        client.half_close()
        client.expect_close()
    assert server.whole_log() == []
