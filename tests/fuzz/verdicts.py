"""The verdict of each parser on a case."""
from __future__ import annotations

import hashlib
import math
import re
from functools import cache
from typing import Any, NamedTuple

from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader

from gworkers.errors import ClientDisconnected, Refusal
from gworkers.http1.body import EMPTY, Body, LengthBody
from gworkers.http1.chunked import ChunkedBody
from gworkers.http1.fast import FastParser
from gworkers.http1.field_lines import REPEATED
from gworkers.http1.fields import environ_key
from gworkers.http1.head import HeadParser
from gworkers.http1.request import Request

from .cases import PEERS, Case
from .corpus import configure

#: A field line without its CRLF, and without an underscore in its name.
_PLAIN_LINE = re.compile(r"([!#$%&'*+.^`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_REPEATED = {name.lower() for name in REPEATED}

#: The status of each error in Gunicorn 27. All other errors have 400.
STATUSES = {"ForbiddenProxyRequest": 403, "LimitRequestLine": 414, "ExpectationFailed": 417, "LimitRequestHeaders": 431,
            "UnsupportedTransferCoding": 501}

#: Outcomes of a case.
ACCEPTED, REFUSED, UNFINISHED = "accepted", "refused", "unfinished"


class Verdict(NamedTuple):
    """The result of parsing some bytes.

    :param outcome: of the head
    :param status: of the answer to a refused head
    :param fault: what is said to be wrong with it, without the details
    :param request: what an application and Gunicorn's hooks see of an accepted one
    :param body: outcome, status, bytes and trailers of its body
    :param rest: bytes behind the body, if that was accepted
    """

    outcome: str
    status: int = 0
    fault: str = ""
    request: dict[str, Any] | None = None
    body: tuple[Any, ...] = ()
    rest: bytes = b""

    @property
    def line(self) -> str:
        """The verdict as one word, for verdicts.txt."""
        if self.outcome != ACCEPTED:
            return str(self.status or self.outcome)
        facts = repr((sorted(self.request.items()) if self.request else (), self.body, self.rest))
        return f"{ACCEPTED}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


def fault_of(message: str) -> str:
    """Return the part of *message* that does not depend on the request."""
    return re.split(r"[:(]", message)[0]


@cache
def configuration(settings: str) -> Any:
    return configure(settings)


@cache
def python_parser(settings: str) -> HeadParser:
    """Return a parser without its fast path."""
    return HeadParser(configuration(settings), None)


@cache
def warm_parser(settings: str) -> HeadParser:
    """Return the parser whose fast path has seen all earlier cases."""
    return HeadParser(configuration(settings), FastParser(configuration(settings)))


def primed_parser(case: Case) -> HeadParser:
    """Return a new parser whose fast path has seen only the earlier heads of *case*."""
    parsers = {}
    for settings, peer, data in (*case.earlier, (case.settings, "", b"")):
        if configuration(settings) is not None:
            if settings not in parsers:
                parsers[settings] = FastParser(configuration(settings))
            parsers[settings].parse(data, trusts(settings, peer))
    return HeadParser(configuration(case.settings), parsers[case.settings])


def invalid_lines(parser: HeadParser) -> list[str]:
    """Lines that the fast path of *parser* remembers, but must not remember, or not like that."""
    return [line for line, item in parser._fast._field_lines.known.items()
            if (match := _PLAIN_LINE.fullmatch(line)) is None or match[1].lower() not in _REPEATED
            or item != (environ_key(match[1]), match[2].strip(" \t"))]


def trusts(settings: str, peer: str) -> bool:
    return peer != "stranger" or configuration(settings).forwarded_allow_ips == ["*"]


# Gunicorn's own parser

class OnCPython(GunicornRequest):
    """Gunicorn's request with the ``inet_pton()`` of CPython. That of PyPy stops at a NUL."""

    def parse_request_line(self, line_bytes: bytes) -> None:
        if self.proxy_protocol_info and "\0" in "{client_addr}{proxy_addr}".format(**self.proxy_protocol_info):
            raise errors.InvalidProxyLine("NUL in an address")
        super().parse_request_line(line_bytes)


def gunicorn_verdict(case: Case, pieces: list[bytes]) -> Verdict:
    """Return the verdict of Gunicorn's Python parser on *pieces*."""
    unreader = IterUnreader(pieces)
    try:
        head = OnCPython(configuration(case.settings), unreader, PEERS[case.peer], case.number)
    except (errors.NoMoreData, StopIteration):
        return Verdict(UNFINISHED)
    except (errors.ParseException, ValueError) as error:
        return Verdict(REFUSED, STATUSES.get(type(error).__name__, 400), fault_of(str(error)))
    request = facts(head, headers=head.headers, script=dict(head.headers).get("SCRIPT_NAME"),
                    keepalive=not head.must_close and head.method != "CONNECT" and persists(head),
                    continues=head.version >= (1, 1) and any(name == "EXPECT" for name, _ in head.headers))
    body = _gunicorn_body(head)
    rest = unreader.buf.getvalue() + b"".join(unreader.iter or ()) if body[0] == ACCEPTED else b""
    return Verdict(ACCEPTED, request=request, body=body, rest=rest)


def _gunicorn_body(head: Any) -> tuple[Any, ...]:
    length = None if isinstance(head.body.reader, ChunkedReader) else head.body.reader.length
    try:
        data = head.body.read()
    except errors.NoMoreData:
        return (UNFINISHED, 0, b"", [])
    except errors.ChunkMissingTerminator as error:
        # Gunicorn raises this also if the connection ends early.
        return (UNFINISHED, 0, b"", []) if b"\r\n".startswith(error.term) else (REFUSED, 400, b"", [])
    except (errors.ParseException, errors.InvalidChunkSize, OSError) as error:
        return (REFUSED, STATUSES.get(type(error).__name__, 400), b"", [])
    if length is not None and len(data) < length:
        return (UNFINISHED, 0, b"", [])
    return (ACCEPTED, 0, data, head.trailers)


def persists(head: Any) -> bool:
    """Return whether the connection persists by RFC 9112, where Connection is a list. Gunicorn treats it as a word."""
    fields = [value.lower() for name, value in head.headers if name == "CONNECTION"]
    words = {word.strip(" \t") for field in fields for word in field.split(",")}
    return "close" not in words and (head.version > (1, 0) or "keep-alive" in words)


def facts(head: Any, headers: Any, script: str | None, keepalive: bool, continues: bool) -> dict[str, Any]:
    """Return the facts that must be equal for both kinds of requests."""
    return {"method": head.method, "target": head.uri, "path": head.path, "query": head.query,
            "fragment": head.fragment, "version": head.version, "scheme": head.scheme,
            "proxy": head.proxy_protocol_info, "headers": headers, "script": script, "keepalive": keepalive,
            "continues": continues}


# gworkers'

class Source:
    """The server side of a connection, from which a body is read."""

    def __init__(self, buffer: bytes, pieces: list[bytes]) -> None:
        self.buffer = buffer
        self.pieces = pieces

    def receive(self, deadline: object = None) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def send_continue(self, fields: bytes) -> None:
        pass

    def yield_if_due(self) -> None:
        pass

    def log_client_error(self, error: Exception) -> None:
        pass


class NoDeadline:
    """A stand-in for a deadline that never ends."""

    timeout = math.inf

    def start(self, connection: object) -> None:
        pass

    def stop(self, connection: object) -> None:
        pass


def gworkers_verdict(case: Case, pieces: list[bytes], parser: HeadParser) -> Verdict:
    """Return the verdict of *parser* and the body classes on *pieces*."""
    pieces = list(pieces)
    data: bytes | bytearray = b""
    request = None
    while request is None and pieces:
        seen = len(data)
        data = bytearray(data) + pieces.pop(0) if seen else pieces.pop(0)
        try:
            request = parser.parse(data, seen, PEERS[case.peer], trusts(case.settings, case.peer), case.number)
        except Refusal as refusal:
            return Verdict(REFUSED, refusal.status, fault_of(refusal.message))
    if request is None:
        return Verdict(UNFINISHED)
    assert request.req_number == case.number
    assert request.peer_addr == PEERS[case.peer]
    seen_as = facts(request, headers=request.headers, script=request.script_name, keepalive=not request.should_close(),
                    continues=request.expects_continue)
    check_fields(request)
    source = Source(bytes(data[request.size:]), pieces)
    body = _gworkers_body(source, request, parser)
    rest = source.buffer + b"".join(source.pieces) if body[0] == ACCEPTED else b""
    return Verdict(ACCEPTED, request=seen_as, body=body, rest=rest)


def _gworkers_body(source: Any, request: Request, parser: HeadParser) -> tuple[Any, ...]:
    body: Body = EMPTY
    deadline: Any = NoDeadline()
    if request.length is None:
        body = ChunkedBody(source, request, parser.chunk_limits, deadline)
    elif request.length:
        body = LengthBody(source, request, request.length)
    try:
        data = body.read()
    except ClientDisconnected:
        return (UNFINISHED, 0, b"", [])
    except Refusal as refusal:
        return (REFUSED, refusal.status, b"", [])
    return (ACCEPTED, 0, data, list(request.trailers))


def check_fields(request: Request) -> None:
    """Check that the environ has the fields of the headers, with the names and the joins of Gunicorn."""
    environ: dict[str, str] = {}
    for name, value in request.headers:
        if name in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            environ[name.replace("-", "_")] = value
        else:
            key = "HTTP_" + name.replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    assert request.fields == environ
