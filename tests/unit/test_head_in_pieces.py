"""Request heads that arrive bit by bit: the verdict is the same at any split, and an unfinished one is bounded."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from fuzz.campaign import disagreements
from fuzz.cases import Case
from fuzz.corpus import ORDINARY, PROXIES, SETTINGS, UNUSUAL, configure, lines
from fuzz.verdicts import NoDeadline
from gworkers.errors import Refusal
from gworkers.http1 import head as head_module
from gworkers.http1.fast import FastParser
from gworkers.http1.head import HeadParser
from gworkers.http1.limits import LONGEST_LINE
from gworkers.http1.strict import StrictRequest
from gworkers.serving.connection import Connection
from gworkers.serving.counters import Counters
from support.heads import PEER, feed, heads, parse, refusal
from support.wire import Counted

pytestmark = pytest.mark.smoke

SPLIT = [*(("default", data) for data in ORDINARY + UNUSUAL), *(("small", data) for data in UNUSUAL),
         *(("proxied", proxy + ORDINARY[1]) for proxy in PROXIES),
         *(("proxied auto", proxy + ORDINARY[7]) for proxy in PROXIES),
         *(("proxied v2", proxy + UNUSUAL[-1]) for proxy in PROXIES)]


@pytest.mark.parametrize(("settings", "data"), SPLIT)
def test_verdict_at_every_split(settings, data):
    if configure(settings) is None:
        pytest.skip("this Gunicorn knows the first version of the PROXY protocol only")
    size = len(data)
    for cuts in [*((cut,) for cut in range(1, size)), tuple(range(1, size)), tuple(range(2, size, 2)),
                 tuple(range(3, size, 3))]:
        case = Case(settings, "proxy", 1, data, cuts)
        assert list(disagreements(case)) == [], case


@pytest.mark.parametrize(("data", "status"), [
    (b"GET / HTTP/1.1\n", 400), (b"GET /\n", 400), (b"\n", 400), (b"\r\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\n", 400),
    (b"\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n", 400), (b"G@T / HTTP/1.1\r\n", 400), (b"GET * HTTP/1.1\r\n", 400),
    (b"GET /\x80 HTTP/1.1\r\n", 400), (b"G" * 4097, 414), (b"GET / HTTP/1.1\r\n\n", 400),
    (b"GET / HTTP/1.1\r\na\r\n:\n", 400),
])
def test_refused_before_the_head_is_complete(fast, data, status):
    parser = heads(fast)
    assert refusal(parser, data).status == status
    with pytest.raises(Refusal) as caught:
        feed(parser, [data[at:at + 1] for at in range(len(data))])
    assert caught.value.status == status


@pytest.mark.parametrize("data", [b"\r", b"\r\n", b"\r\n\r", b"G", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r", b"G" * 4096,
                                  b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r",
                                  b"\r\nGET / HTTP/1.1\r\n"])
def test_not_yet_complete(fast, data):
    assert parse(heads(fast), data) is None
    assert feed(heads(fast), [data[at:at + 1] for at in range(len(data))]) == (None, len(data))


def test_one_empty_line_before_a_request_is_ignored(fast):
    data = b"\r\n" + lines("GET / HTTP/1.1", "Host: a")
    request = parse(heads(fast), data + b"rest")
    assert (request.size, request.fields) == (len(data), {"HTTP_HOST": "a"})
    assert refusal(heads(fast), b"\r\n" + data).status == 400


# What an unfinished head costs

def test_slow_sender_costs_its_bytes(fast, monkeypatch):
    asked = []

    class Counted(StrictRequest):
        def parse(self, unreader):
            asked.append("Gunicorn")
            return super().parse(unreader)

    class CountedFast(FastParser):
        def parse(self, data, trusted):
            asked.append("fast")
            return super().parse(data, trusted)

    monkeypatch.setattr(head_module, "request_class", lambda: Counted)
    data = lines("GET /" + "t" * 900 + " HTTP/1.1", *(f"X-{number}: {'v' * 90}" for number in range(50)))
    parser = heads(CountedFast if fast is FastParser else fast)
    request, taken = feed(parser, [data[at:at + 1] for at in range(len(data))])
    assert (request.size, taken) == (len(data), len(data))
    # When its request line is complete, and when it is complete; the fast way tries at once, too.
    assert asked == (["fast", "Gunicorn", "fast"] if fast is FastParser else ["Gunicorn", "Gunicorn"])


def test_connection_does_not_copy_what_has_arrived_before(fast):
    data = lines("POST / HTTP/1.1", *(f"X-{number}: {'v' * 90}" for number in range(50)), "Content-Length: 4") + b"rest"
    pieces = [Counted(data[at:at + 1]) for at in range(len(data) - 5)] + [Counted(data[-5:])]
    Counted.copied = 0
    requests = []
    server: Any = SimpleNamespace(
        hub=SimpleNamespace(watch_read=lambda fd: Mock()), heads=heads(fast), trusts=lambda peer: False,
        first_byte=NoDeadline(), head=NoDeadline(),
        greenlets=SimpleNamespace(run=lambda connection, request: requests.append(request), count=0),
        limits=SimpleNamespace(max_active=1), counters=Counters())
    sock: Any = SimpleNamespace(fileno=lambda: 3, recv=lambda size: pieces.pop(0))
    connection = Connection(server, None, sock, PEER)
    connection.open()
    while pieces:
        connection._readable()
    assert [request.size for request in requests] == [len(data) - 4]
    assert (connection.buffer, type(connection.buffer)) == (b"rest", bytes)
    assert Counted.copied <= 2 * len(data)


def test_slow_proxy_costs_its_bytes(monkeypatch):
    asked = []

    class Counted(StrictRequest):
        def parse(self, unreader):
            asked.append(True)
            return super().parse(unreader)

    monkeypatch.setattr(head_module, "request_class", lambda: Counted)
    parser = HeadParser(configure("proxied"), None)
    data = b"PROXY TCP6 " + b"2001:db8::1 " * 2 + b"1 2" + lines("", "GET / HTTP/1.1", "Host: a")
    peer = ("127.0.0.1", 1)
    for size in range(1, len(data)):
        assert parser.parse(data[:size], size - 1, peer, True, 1) is None
    request = parser.parse(data, len(data) - 1, peer, True, 1)
    assert request.proxy_protocol_info["client_addr"] == "2001:db8::1"
    assert len(asked) <= 8


ENDLESS = {"line": b"", "target": b"GET /", "name": b"GET / HTTP/1.1\r\n", "value": b"GET / HTTP/1.1\r\nX: ",
           "after a field": b"GET / HTTP/1.1\r\nHost: a\r\nX", "after an empty line": b"\r\nGET /"}


@pytest.mark.parametrize("start", list(ENDLESS))
@pytest.mark.parametrize("settings", [name for name in SETTINGS if name != "unlimited"])
def test_head_without_an_end_is_bounded(fast, settings, start):
    config = configure(settings)
    if config is None:
        pytest.skip("this Gunicorn knows the first version of the PROXY protocol only")
    parser = HeadParser(config, fast(config))
    bound = config.limit_request_line + config.limit_request_fields * (config.limit_request_field_size + 2) + 1000
    pieces = [ENDLESS[start], *([b"x" * 997] * (bound // 997 + 2))]
    with pytest.raises(Refusal) as caught:
        feed(parser, pieces)
    assert caught.value.status in (414, 431)


def test_unlimited_line_ends_somewhere(fast):
    parser = heads(fast, limit_request_line=0)
    with pytest.raises(Refusal) as caught:
        feed(parser, [b"GET /", *([b"x" * 65536] * (LONGEST_LINE // 65536 + 1))])
    assert caught.value.status == 414
    data = lines("GET /" + "x" * 100_000 + " HTTP/1.1", "Host: a")
    assert parse(parser, data).size == len(data)


def test_many_empty_fields_are_bounded(fast):
    parser = heads(fast, limit_request_fields=10, limit_request_field_size=100)
    with pytest.raises(Refusal) as caught:
        feed(parser, [b"GET / HTTP/1.1\r\n", *([b"a:\r\n"] * 1000)])
    assert caught.value.status == 431


def test_largest_head_that_is_allowed(fast):
    parser = heads(fast, limit_request_line=30, limit_request_fields=4, limit_request_field_size=40)
    data = lines("GET /" + "t" * 16 + " HTTP/1.1", *(f"X-{number}: {'v' * 33}" for number in range(4)))
    assert parse(parser, data).size == len(data)
    request, taken = feed(parser, [data[at:at + 1] for at in range(len(data))])
    assert (request.size, taken) == (len(data), len(data))


def test_proxy_line_without_an_end_is_bounded():
    parser = HeadParser(configure("proxied"), None)
    data = b"PROXY TCP4 "
    assert parser.parse(data + b"1" * 100, 0, ("127.0.0.1", 1), True, 1) is None
    with pytest.raises(Refusal) as caught:
        parser.parse(data + b"1" * LONGEST_LINE, len(data), ("127.0.0.1", 1), True, 1)
    assert caught.value.status in (400, 414)
