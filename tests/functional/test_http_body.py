"""The request body in ``wsgi.input``: PEP 3333, RFC 9112 sections 6 and 7."""

from __future__ import annotations

import hashlib
import io
import json
import random
from typing import Any
from urllib.parse import quote

import pytest

from support.client import chunked, request

BODY = b"one\ntwo\r\n\n" + b"x" * 40 + b"\nlast"
CHUNKED = ["Transfer-Encoding: chunked"]


def posted(path, body, framed, parts=3):
    """A request with *body*, with a Content-Length or in about *parts* chunks."""
    if framed == "length":
        return request(path, method="POST", body=body)
    size = max(1, len(body) // parts)
    chunks = [body[start:start + size] for start in range(0, len(body), size)]
    return request(path, method="POST", headers=CHUNKED, body=chunked(*chunks))


@pytest.mark.parametrize("framed", ["length", "chunked"])
@pytest.mark.parametrize("path", ["/echo", "/caught"])
def test_body_split_anywhere(site, framed, path):
    client = site("bodies").connect()
    data = posted(path, BODY, framed)
    for split in range(1, len(data)):
        client.send_pieces([data[:split], data[split:]])
        assert client.receive().body == (b"whole: " if path == "/caught" else b"") + BODY, f"split at {split}"


SCRIPTS = [
    [["read", -1]],
    [["read", 0], ["read", 1], ["read", 1000], ["read", 1]],
    [["read", 10], ["readline"], ["readline"], ["readline"], ["readline"]],
    [["readline", 2], ["readline", 2], ["readline", 1], ["readline", 100], ["read", -1]],
    [["readline", 0], ["readline", -1], ["readline"], ["readline"], ["readline"], ["readline"], ["readline"]],
    [["readlines"], ["readlines"], ["read", -1]],
    [["readline"], ["readlines"]],
    [["list"], ["read", 5]],
    [["next"], ["next"], ["read", 3], ["next"], ["list"], ["next"]],
    [["read", 4], ["list"]],
]


def expected(script, body):
    """The results of the same calls on a file in memory."""
    memory = io.BytesIO(body)
    results: list[Any] = []
    result: Any
    for name, *arguments in script:
        if name == "next":
            result = next(memory, b"")
        elif name == "list":
            result = list(memory)
        else:
            result = getattr(memory, name)(*arguments)
        results.append([line.decode() for line in result] if isinstance(result, list) else result.decode())
    return results


@pytest.mark.parametrize("framed", ["length", "chunked"])
@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_input_reads_like_a_file(site, framed, script):
    client = site("bodies").connect()
    path = f"/script?{quote(json.dumps(script))}"
    for body in (BODY, b"", b"\n", b"no end of line"):
        client.send(posted(path, body, framed))
        assert json.loads(client.receive().body) == expected(script, body)


@pytest.mark.parametrize("framed", ["length", "chunked"])
@pytest.mark.slow
def test_input_reads_like_a_file_at_random(site, framed):
    client = site("bodies").connect()
    chance = random.Random(f"bodies {framed}")
    for _ in range(60):
        body = bytes(chance.choices(b"ab\r\n", k=chance.randrange(200)))
        script = []
        for _ in range(chance.randrange(1, 8)):
            name = chance.choice(["read", "readline", "next", "list", "readlines"])
            script.append([name, chance.randrange(-1, 40)] if name in ("read", "readline") else [name])
        data = posted(f"/script?{quote(json.dumps(script))}", body, framed, chance.randrange(1, 20))
        splits = sorted(chance.sample(range(1, len(data)), 4))
        pieces = [data[start:end] for start, end in zip([0, *splits], [*splits, len(data)])]
        client.send_pieces(pieces)
        assert json.loads(client.receive().body) == expected(script, body), (script, body, pieces)


@pytest.mark.parametrize("arguments", [[], [None], [-1]], ids=str)
def test_read_without_a_size(serve, arguments):
    path = f"/script?{quote(json.dumps([['read', *arguments]]))}"
    response = serve("bodies:app").connect().request(path, method="POST", body=BODY)
    assert json.loads(response.body) == [BODY.decode()]


@pytest.mark.parametrize("framed", ["length", "chunked"])
def test_reading_stops_at_the_end_of_the_body(site, framed):
    client = site("bodies").connect()
    client.send(posted("/trailing", b"abcdef", framed) + request("/echo", method="POST", body=b"next"))
    assert client.receive().body == b"abc|def|||"
    assert client.receive().body == b"next"


def test_request_without_a_body_reads_as_empty(site):
    client = site("bodies").connect()
    for method in ("GET", "POST", "DELETE"):
        for headers in ([], ["Content-Length: 0"]):
            assert client.request("/echo", method=method, headers=headers).body == b""


@pytest.mark.parametrize("framed", ["length", "chunked"])
@pytest.mark.smoke
def test_large_body(site, framed):
    client = site("bodies").connect()
    body = random.Random(framed).randbytes(5 << 20)
    for path in ("/digest", "/echo"):
        client.send(posted(path, body, framed, parts=100))
        received = client.receive().body
        assert received == (hashlib.sha256(body).hexdigest().encode() if path == "/digest" else body)


@pytest.mark.parametrize("body", [
    b"5\r\nhello\r\n0\r\n\r\n",
    b"005\r\nhello\r\n000\r\n\r\n",
    b"5;name\r\nhello\r\n0;last\r\n\r\n",
    b"5;name=value;other=\"quoted ; \\\" value\"\r\nhello\r\n0\r\n\r\n",
    b"5 ;name\r\nhello\r\n0\r\n\r\n",
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: yes\r\nX-Other: too\r\n\r\n",
], ids=repr)
def test_all_valid_chunk_forms(site, body):
    client = site("bodies").connect()
    data = request("/echo", method="POST", headers=CHUNKED, body=body)
    for split in range(data.index(b"\r\n\r\n") + 4, len(data)):
        client.send_pieces([data[:split], data[split:]])
        assert client.receive().body == b"hello"


def test_chunk_size_in_upper_or_lower_case(site):
    client = site("bodies").connect()
    for size in (b"1a", b"1A"):
        body = size + b"\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"
        client.send(request("/echo", method="POST", headers=CHUNKED, body=body))
        assert client.receive().body == b"x" * 26


TELL_TRAILERS = """
def post_request(worker, req, environ, resp):
    worker.log.info("trailers: %s", req.trailers)
"""


@pytest.mark.parametrize("path", ["/echo", "/ignored"])
@pytest.mark.smoke
def test_trailers_are_parsed(serve, path):
    server = serve("bodies:app", config=TELL_TRAILERS)
    client = server.connect()
    body = chunked(b"hello", trailers=["X-Checksum:  abc ", "x-Other: d"])
    client.send(request(path, method="POST", headers=[*CHUNKED, "Trailer: X-Checksum"], body=body))
    assert client.receive().status == 200
    assert client.request("/echo", method="POST", body=b"next").body == b"next"
    if path == "/echo":
        server.wait_for_log(r"trailers: \[\('X-CHECKSUM', 'abc'\), \('X-OTHER', 'd'\)\]")


@pytest.mark.parametrize("framed", ["length", "chunked"])
def test_application_waits_for_a_slow_body(site, framed):
    server = site("bodies")
    client = server.connect()
    data = posted("/caught", b"slow", framed)
    for byte in data[:-1]:
        client.send(bytes([byte]))
        client.wait_until_read()
        if byte == ord("o"):
            assert server.connect().request("/ignored").status == 200
    client.send(data[-1:])
    assert client.receive().body == b"whole: slow"
