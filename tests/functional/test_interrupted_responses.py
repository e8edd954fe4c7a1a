"""A response that is interrupted while it is sent is the last one on its connection."""

from __future__ import annotations

import pytest

from support.client import request
from support.tls import secured

#: The request parser makes no difference here.
pytestmark = pytest.mark.only(transport="tcp", parser="fast")


@pytest.fixture(params=["plain", "tls"])
def server(serve, request):
    options = ("--certfile", request.getfixturevalue("certificate")) if request.param == "tls" else ()
    server = serve("interrupted:app", *options, settings={"write_timeout": 0.3 if "late" in request.node.name else 30})
    server.secure = request.param == "tls"
    return server


@pytest.fixture
def client(server, trusting):
    return secured(server, trusting) if server.secure else server.connect()


@pytest.mark.parametrize("how", ["interrupted", "late", "killed"])
@pytest.mark.parametrize("path", ["/measured", "/in-chunks", "/goes-on", "/hints"])
@pytest.mark.sample(4)
def test_nothing_follows_an_interrupted_response(server, client, path, how):
    client.send(request(f"{path}?{how}") + request("/next-one") * 2)
    server.wait_for_log("^interrupted")
    came = client.read_to_end()
    assert came.startswith(b"HTTP/1.1 ")
    for end in (b"the response to the next request", b"\r\n0\r\n\r\n", b"another part", b"and the last"):
        assert end not in came
    if path == "/goes-on":
        server.wait_for_log("^no more can be sent$")
    assert server.log("ERROR") == []


@pytest.mark.parametrize("how", ["interrupted", "late"])
def test_no_error_page_follows_an_interrupted_response(server, client, how):
    client.send(request(f"/fails-after-hints?{how}"))
    server.wait_for_log("^interrupted")
    assert b"Internal Server Error" not in client.read_to_end()
    server.expect_traceback("LookupError: deliberate")


@pytest.mark.parametrize("path", ["/measured", "/in-chunks"])
def test_complete_response_is_not_the_last(server, client, path):
    client.send(request(f"{path}?in-time") + request("/next-one"))
    assert len(client.receive().body) == 40 << 20
    server.wait_for_log("^sent$")
    assert client.receive().body == b"the response to the next request"
