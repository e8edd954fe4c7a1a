"""httpbin on gworkers and on Gunicorn's gevent worker: both respond in the same way.

httpbin requires a greenlet older than 3 on Python 3.11 and older, but does not use it. So it is installed without its
dependencies. The extra ``compatibility`` has those that it uses.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import NamedTuple

import pytest

from support.client import chunked
from support.forms import HEADER, form

pytestmark = pytest.mark.library("httpbin", area="Web frameworks")

BASIC = base64.b64encode(b"user:secret").decode()


class Ask(NamedTuple):
    """One request."""

    target: str
    method: str = "GET"
    headers: tuple[str, ...] = ()
    body: bytes | None = None


REQUESTS = [
    *map(Ask, ("/get?a=1&b=%E2%82%AC&a=2", "/headers", "/ip", "/user-agent", "/html", "/xml", "/json", "/robots.txt",
               "/deny", "/encoding/utf8", "/image/png", "/image/svg", "/links/3/1", "/base64/Z3dvcmtlcnM%3D")),
    *(Ask("/anything/a%2Fb//c", method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")),
    Ask("/get", "HEAD"), Ask("/get", "OPTIONS"), Ask("/get", "DELETE"), Ask("/nowhere"), Ask("/status/418", "HEAD"),
    Ask("/post", "POST", ("Content-Type: application/x-www-form-urlencoded",), b"a=1&b=%20x"),
    Ask("/post", "POST", ("Content-Type: application/json",), json.dumps({"a": [1, 2]}).encode()),
    Ask("/post", "POST", (HEADER,), form("file", b"content" * 1000, field="value")),
    Ask("/post", "POST", ("Transfer-Encoding: chunked",), chunked(b"one", b"two" * 1000)),
    Ask("/post", "POST", ("Content-Type: application/octet-stream",), bytes(range(256)) * 1000),
    Ask("/put", "PUT", (), b"body"), Ask("/patch", "PATCH", (), b"body"), Ask("/delete", "DELETE", (), b"body"),
    *(Ask(f"/status/{status}") for status in (200, 201, 202, 204, 301, 302, 304, 400, 401, 404, 405, 406, 418, 429, 500,
                                              503)),
    *map(Ask, ("/stream/5", "/stream-bytes/1000?seed=1&chunk_size=100", "/bytes/1000?seed=1",
               "/range/100?chunk_size=30", "/drip?numbytes=5&duration=0.3&delay=0.1",
               "/drip?numbytes=5&duration=0.3&code=500", "/delay/0.3", "/gzip", "/deflate", "/brotli")),
    Ask("/range/100", "GET", ("Range: bytes=10-19",)), Ask("/range/100", "GET", ("Range: bytes=200-",)),
    Ask("/range/100", "HEAD"),
    *map(Ask, ("/redirect/2", "/relative-redirect/2", "/absolute-redirect/2", "/redirect-to?url=/get&status_code=307",
               "/cookies/set?a=b&c=d", "/cookies/delete?a", "/response-headers?X-First=1&X-First=2&X-Second=%C3%A9")),
    Ask("/cookies", "GET", ("Cookie: a=b; c=d",)),
    Ask("/basic-auth/user/secret"), Ask("/basic-auth/user/secret", "GET", (f"Authorization: Basic {BASIC}",)),
    Ask("/hidden-basic-auth/user/secret"), Ask("/bearer"), Ask("/bearer", "GET", ("Authorization: Bearer token",)),
    Ask("/etag/tag", "GET", ('If-None-Match: "tag"',)), Ask("/etag/tag", "GET", ('If-Match: "other"',)),
    Ask("/cache", "GET", ("If-None-Match: x",)), Ask("/cache/60"),
    Ask("/headers", "GET", ("X-Repeated: 1", "X-Repeated: 2", "X-Under_score: 3", "Accept: text/html")),
]


def answers(server):
    """The response to each request: its status, its header fields and its body."""
    client = server.connect()
    found = {}
    for ask in REQUESTS:
        response = client.request(ask.target, method=ask.method, headers=ask.headers, body=ask.body)
        if response.closes:
            client = server.connect()
        headers = sorted(field for field in response.headers if field[0] != "Date")
        # A compressed body has the time in its head.
        body = gzip.decompress(response.body) if ask.target == "/gzip" else response.body
        found[ask] = response.status, response.reason, headers, response.framing, body
    return found


def test_responses_are_those_of_the_gevent_worker(library_app):
    """The responses to 80 kinds of requests are those of Gunicorn's gevent worker."""
    # The order of the methods in Allow is that of a set of strings.
    env = {"PYTHONHASHSEED": "0"}
    own = answers(library_app("httpbin:app", env=env))
    other = answers(library_app("httpbin:app", env=env, worker_class="gevent"))
    for ask in REQUESTS:
        assert own[ask] == other[ask], ask
