"""``wsgi.file_wrapper``: with sendfile if possible, and with the same bytes otherwise."""

from __future__ import annotations

import errno
import os

import pytest

from support.client import ClosedError, request

CONTENT = bytes(range(256)) * 4000
KEPT = ["Connection: keep-alive"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("query", ["", "offset=1000", "offset=1000&length=50", "length=1024000", "length=10"])
@pytest.mark.parametrize("path", ["/real", "/memory"])
def test_file(serve, path, query, version):
    client = serve("files:app").connect()
    options = dict(option.split("=") for option in query.split("&") if option)
    offset = int(options.get("offset", 0))
    wanted = CONTENT[offset:][:int(options.get("length", len(CONTENT)))]
    for _ in range(2):
        response = client.request(f"{path}?{query}", version=version, headers=KEPT)
        assert (response.status, response.body == wanted) == (200, True)
        if response.framing == "close":
            break


@pytest.mark.smoke
def test_regular_file_is_sent_by_the_kernel(serve):
    server = serve("files:app")
    client = server.connect()
    for query in ("", "?offset=1000", "?offset=1000&length=50"):
        assert client.request(f"/real{query}").status == 200
    assert client.request("/huge").body == bytes(20 << 20)
    assert server.whole_log("read\\(\\) was called") == []


def test_sendfile_setting_off(serve):
    server = serve("files:app", "--no-sendfile")
    client = server.connect()
    for query, wanted in (("", CONTENT), ("?offset=1000", CONTENT[1000:]), ("?block=100000", CONTENT)):
        assert client.request(f"/real{query}").body == wanted
    server.wait_for_log("read\\(\\) was called")


def test_length_is_known_for_a_regular_file(serve):
    """If the kernel sends the file its size is known, and may be sent as Content-Length."""
    response = serve("files:app").connect().request("/real?offset=24")
    assert response.framing in ("length", "chunked")
    assert response.header("content-length") in (None, str(len(CONTENT) - 24))
    assert response.body == CONTENT[24:]


@pytest.mark.parametrize("path", ["/real", "/memory", "/empty"])
def test_file_shorter_than_its_length_closes(serve, path):
    server = serve("files:app")
    client = server.connect()
    client.send(request(f"{path}?length=2000000"))
    with pytest.raises(ClosedError):
        client.receive()
    server.wait_for_log("(?i)content-length")


@pytest.mark.parametrize(("method", "status"), [
    ("HEAD", "200+OK"), ("GET", "304+Not+Modified"), ("GET", "204+No+Content"),
])
@pytest.mark.parametrize("path", ["/real", "/memory"])
def test_response_without_a_body_does_not_send_the_file(serve, path, method, status):
    server = serve("files:app")
    client = server.connect()
    for _ in range(2):
        response = client.request(f"{path}?status={status}&length=1024000", method=method)
        assert response.status == int(status[:3])
        assert response.header("content-length") == (None if response.status == 204 else "1024000")
    assert client.request("/memory").body == CONTENT


@pytest.mark.parametrize(("path", "body"), [
    ("/empty", b""), ("/pipe", b"through a pipe"), ("/plain-reader", b"one,two"), ("/buffered", CONTENT[10:]),
    ("/head-written", b"before,the file"), ("/iterated", CONTENT), ("/real?block=7", CONTENT),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_files_of_other_kinds(serve, path, body, version):
    client = serve("files:app").connect()
    response = client.request(path, version=version, headers=KEPT)
    assert (response.status, response.body) == (200, body)
    if not response.closes:
        assert client.request("/memory").body == CONTENT


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/real", "/real?status=304+Not+Modified", "/empty", "/iterated"])
def test_file_is_closed_once(serve, path, method):
    server = serve("files:app")
    assert server.connect().request(path, method=method).status in (200, 304)
    server.wait_for_log("close\\(\\) was called")
    assert len(server.whole_log("close\\(\\) was called")) == 1


@pytest.mark.smoke
def test_file_is_closed_when_the_client_disconnects(serve):
    server = serve("files:app")
    client = server.connect()
    client.send(request("/huge"))
    assert client.receive_once()
    client.reset()
    server.wait_for_log("close\\(\\) was called")
    assert len(server.whole_log("close\\(\\) was called")) == 1


def test_slow_reader_of_a_file_does_not_block_others(serve):
    server = serve("files:app")
    slow = [server.connect() for _ in range(5)]
    for client in slow:
        client.send(request("/huge") + request("/plain-reader"))
    for _ in range(3):
        assert server.connect().request("/plain-reader").body == b"one,two"
    for client in slow:
        response = client.receive()
        assert (len(response.body), response.body.strip(b"\0")) == (20 << 20, b"")
        assert client.receive().body == b"one,two"


# Files that the kernel cannot send, and errors


@pytest.mark.only(parser="fast")
@pytest.mark.parametrize("length", [0, 5, 1_000_000])
def test_file_that_the_kernel_cannot_send_is_read(serve, length):
    client = serve("files:app").connect()
    for _ in range(2):
        response = client.request(f"/not-for-sendfile?{length}")
        assert (response.status, response.framing) == (200, "length")
        assert response.body == b"r" * length


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="only Linux has such files")
@pytest.mark.only(parser="fast")
def test_file_without_a_size_is_read(serve):
    client = serve("files:app").connect()
    for _ in range(2):
        assert b"VmRSS" in client.request("/of-no-size").body


@pytest.mark.only(parser="fast")
@pytest.mark.parametrize(("path", "error"), [
    ("/unreadable", "EBADF"), *((f"/bad-disk?{error}&{good}", error) for error, good in [
        ("EIO", 0), ("EIO", 70000), ("EINVAL", 70000), ("ESTALE", 70000), ("ETIMEDOUT", 70000)])])
def test_file_error_is_an_application_error(serve, path, error):
    server = serve("files:app")
    client = server.connect()
    client.send(request(path) + request("/memory"))
    with pytest.raises(ClosedError):
        client.receive()
    server.expect_traceback(rf"^(OS|Timeout)Error: .*{os.strerror(getattr(errno, error))}$")
    server.wait_for_log("Error handling request GET " + path.replace("?", "[?]"))
    server.wait_for_log("close\\(\\) was called")
    assert server.connect().request("/memory").body == CONTENT


@pytest.mark.only(parser="fast")
def test_file_that_is_closed_while_it_is_sent(serve):
    server = serve("files:app")
    client = server.connect()
    gate = server.word()
    client.send(request(f"/closed-meanwhile?{gate}"))
    assert client.receive_once(10) == b"HTTP/1.1 2"
    server.connect().request(f"/open?{gate}")
    assert len(client.read_to_end()) < 20 << 20
    server.expect_traceback("^OSError: .* Bad file descriptor$")


@pytest.mark.only(parser="fast")
def test_disconnect_during_a_file_is_not_an_error(serve):
    server = serve("files:app", "--log-level", "debug")
    client = server.connect()
    client.send(request("/huge"))
    assert client.receive_once()
    client.reset()
    server.wait_for_log("A client disconnected before it got the whole response")
    assert server.whole_log("ERROR|Traceback") == []
