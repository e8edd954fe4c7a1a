"""The framing of responses: RFC 9112 section 6 and PEP 3333."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from support.client import ClosedError, request

PARTS = b"one,two,three"


def test_one_element_list_gets_a_content_length(serve):
    client = serve("responses:app").connect()
    for version, headers in (("1.1", []), ("1.0", ["Connection: keep-alive"])):
        response = client.request("/one", version=version, headers=headers)
        assert (response.status, response.body) == (200, b"all there is")
        assert response.header("content-length") == "12"


def test_head_and_first_part_are_sent_together(site):
    for path in ("/one", "/several", "/measured", "/closing"):
        client = site("responses").connect()
        client.send(request(path))
        head, _, body = client.receive_once().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert any(start in body for start in (b"one,", b"all")), body
        client.close()


def test_empty_iterable_is_an_empty_body(site):
    client = site("responses").connect()
    for _ in range(2):
        response = client.request("/nothing")
        assert (response.status, response.body) == (200, b"")
        assert response.framing in ("length", "chunked")


@pytest.mark.smoke
def test_parts_are_chunked_for_http_1_1(site):
    client = site("responses").connect()
    for _ in range(2):
        response = client.request("/several")
        assert (response.framing, response.body) == ("chunked", PARTS)


def test_parts_end_with_the_connection_for_http_1_0(site):
    client = site("responses").connect()
    response = client.request("/several", version="1.0", headers=["Connection: keep-alive"])
    assert (response.framing, response.body, response.closes) == ("close", PARTS, True)


def test_parts_of_a_given_length(site):
    client = site("responses").connect()
    for version, headers in (("1.1", []), ("1.0", ["Connection: keep-alive"])):
        response = client.request("/measured", version=version, headers=headers)
        assert (response.framing, response.body) == ("length", PARTS)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.smoke(validated=True)
def test_generator_is_streamed_as_it_yields(site, version):
    server = site("responses")
    client = server.connect()
    gate = server.word()
    client.send(request(f"/streamed?{gate}", version=version))
    seen = b""
    while b"first" not in seen:
        part = client.receive_once()
        assert part, f"the connection ended after {seen!r}"
        seen += part
    assert b"second" not in seen
    server.connect().request(f"/open?{gate}")
    client.buffer = seen
    assert client.receive().body == b"firstsecond"


def test_write_sends_at_once(site):
    server = site("responses")
    client = server.connect()
    gate = server.word()
    client.send(request(f"/written?{gate}"))
    seen = b""
    while b"written," not in seen:
        part = client.receive_once()
        assert part, f"the connection ended after {seen!r}"
        seen += part
    server.connect().request(f"/open?{gate}")
    client.buffer = seen
    assert client.receive().body == b"written,again,returned"


@pytest.mark.parametrize("path", ["/large", "/large-parts"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.smoke
def test_large_body_arrives_whole(site, path, version):
    client = site("responses").connect()
    size = 3 << 20
    body = client.request(f"{path}?{size}", version=version).body
    assert len(body) == size
    if path == "/large":
        assert body == bytes(range(256)) * (size // 256)
    else:
        assert body == b"".join(bytes([number % 256]) * 65536 for number in range(size // 65536))


@pytest.mark.parametrize("path", ["/one", "/several", "/measured", "/large?1048576"])
def test_head_has_no_body(site, path):
    client = site("responses").connect()
    whole = client.request(path)
    for _ in range(2):
        response = client.request(path, method="HEAD")
        assert response.status == 200
        assert response.header("content-length") in (whole.header("content-length"), None)
    assert client.request("/one").body == b"all there is"


def test_head_keeps_the_length_that_the_application_gave(site):
    response = site("responses").connect().request("/measured", method="HEAD")
    assert response.header("content-length") == "13"


@pytest.mark.only(transport="tcp", parser="fast")
def test_omitted_body_is_logged_once(start):
    server = start("responses:app", "--keep-alive", 60)
    client = server.connect()
    for path in ("/one", "/several", "/measured"):
        for _ in range(2):
            assert client.request(path, method="HEAD").status == 200
    for status in ("204 No Content", "304 Not Modified"):
        for _ in range(2):
            assert client.request(f"/status?{quote(status)}").status == int(status[:3])
    found = [re.search("The application sent a body (.*) [(](.*)[)]", line)
             for line in server.whole_log("The application sent")]
    assert [match and match.groups() for match in found] == [
        ("in response to HEAD", "HEAD /one"), ("with status 204", "GET /status?204%20No%20Content"),
        ("with status 304", "GET /status?304%20Not%20Modified")]


def test_wrong_length_is_logged_each_time(serve):
    """It damages the response, unlike a body that was left out."""
    server = serve("responses:app")
    for path in ("/too-long", "/too-long-parts", "/too-short"):
        server.begin()
        for _ in range(2):
            client = server.connect()
            client.send(request(path))
            client.half_close()
            client.read_to_end()
        assert len(server.whole_log(f"WARNING.*{path}.*Content-Length|WARNING.*Content-Length.*{path}")) == 2


@pytest.mark.parametrize(("status", "length"), [("204 No Content", None), ("304 Not Modified", "4")])
def test_status_without_a_body(serve, status, length):
    client = serve("responses:app").connect()
    client.send(request(f"/status?{quote(status)}") + request("/one"))
    response = client.receive()
    assert f"{response.status} {response.reason}" == status
    assert response.header("x-is") == "there"
    assert response.header("content-length") == length
    assert response.header("transfer-encoding") is None
    assert client.receive().body == b"all there is"


def test_switching_protocols_has_no_body_and_is_the_last_response(serve):
    client = serve("responses:app").connect()
    client.send(request("/status?101%20Switching%20Protocols"))
    response = client.receive()
    assert (response.status, response.closes) == (101, True)
    assert response.header("content-length") is None
    assert response.header("transfer-encoding") is None
    client.expect_close()


@pytest.mark.parametrize("status", ["200 OK", "299 Quite \tall right", "404 N\xf6", "999 Why not", "500 "])
def test_status_line_is_not_changed(serve, status):
    response = serve("responses:app").connect().request(f"/status?{quote(status, encoding='latin-1')}")
    assert (response.status, response.reason) == (int(status[:3]), status[4:])
    assert response.body == b"body"


@pytest.mark.parametrize("path", ["/too-long", "/too-long-parts", "/too-long-write"])
def test_body_longer_than_its_length_is_truncated(site, path):
    client = site("responses").connect()
    for _ in range(2):
        response = client.request(path)
        assert (response.header("content-length"), response.body) == ("4", b"body")


@pytest.mark.parametrize("path", ["/too-short", "/too-short-parts", "/too-short-nothing"])
def test_body_shorter_than_its_length_closes(site, path):
    server = site("responses")
    client = server.connect()
    client.send(request(path) + request("/one"))
    with pytest.raises(ClosedError):
        client.receive()
    server.wait_for_log("(?i)content-length")
    assert server.connect().request("/one").status == 200


def test_response_to_head_is_not_too_short(site):
    server = site("responses")
    client = server.connect()
    assert client.request("/too-short-nothing", method="HEAD").header("content-length") == "10"
    assert client.request("/one").status == 200
    assert server.whole_log("too-short-nothing") == []


def test_exc_info_replaces_a_response_that_was_not_sent(site):
    client = site("responses").connect()
    for _ in range(2):
        response = client.request("/replaced")
        assert (response.status, response.reason, response.body) == (503, "Not Now", b"an error page")
        assert response.header("x-second") == "2"
        assert response.header("x-first") is None
        assert response.header("content-length") in (None, "13")


def test_exc_info_after_the_head_ends_the_connection(site):
    server = site("responses")
    client = server.connect()
    client.send(request("/replaced-late"))
    with pytest.raises(ClosedError):
        client.receive()
    server.expect_traceback("LookupError: deliberate, late")


def test_server_adds_header_fields(site):
    response = site("responses").connect().request("/one")
    assert response.header("server").startswith("gunicorn")
    assert response.header("date").endswith(" GMT")
    assert response.header("connection") == "keep-alive"
    assert response.version == "1.1"


def test_http_1_0_response_has_the_same_version(site):
    response = site("responses").connect().request("/one", version="1.0")
    assert (response.version, response.closes) == ("1.0", True)


# start_response raises an exception


@pytest.mark.parametrize("path", ["/whole", "/parts", "/again"])
def test_failed_start_response_leaves_no_length(serve, path):
    client = serve("repeated_start_response:app").connect()
    for _ in range(2):
        response = client.request(path)
        assert (response.status, response.reason, response.body) == (500, "Oops", b"the error page")
        assert response.framing == ("chunked" if path == "/parts" else "length")


def test_failed_start_response_leaves_no_upgrade(serve):
    client = serve("repeated_start_response:app").connect()
    for _ in range(2):
        response = client.request("/upgrade")
        assert (response.status, response.body) == (500, b"the error page")
        assert (response.header("connection"), response.header("upgrade")) == ("keep-alive", None)


@pytest.mark.parametrize("path", ["/swallowed", "/swallowed-length"])
def test_failed_second_start_response_changes_nothing(serve, path):
    client = serve("repeated_start_response:app").connect()
    for _ in range(2):
        response = client.request(path)
        assert (response.status, response.body) == (200, b"hello")
        assert response.framing == ("length" if path == "/swallowed" else "chunked")


# A Unix socket has no address to name


@pytest.mark.only(transport="unix")
@pytest.mark.parametrize(("host", "name", "port"), [
    ("[::1]:8000", "[::1]", "8000"), ("[::1]", "[::1]", "80"), ("name.test:81", "name.test", "81"),
    ("name.test", "name.test", "80"),
])
def test_server_name_is_the_host_field_on_a_unix_socket(serve, host, name, port):
    seen = json.loads(serve("echo:app").connect().request(headers=[f"Host: {host}"]).body)
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (name, port)
