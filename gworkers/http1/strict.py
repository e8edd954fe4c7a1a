"""Gunicorn's own parser, with the rules of its newest release on all of them.

Gunicorn 27 refuses much that 23 and 25 let pass. Here is what changed in between, each rule where
that release applies it, so that all come to one verdict and mostly name the same fault. On the
newest release nothing here refuses what its parser accepts.
"""
from __future__ import annotations

import re
from typing import Any

from gunicorn.http.message import Request as GunicornRequest

from gworkers.errors import Refusal
from gworkers.gunicorn_compat import optional, works
from gworkers.gunicorn_internals import Feature
from gworkers.http1.limits import DEFAULT_FIELD
from gworkers.http1.parse_errors import (
    InvalidHeader,
    InvalidHeaderName,
    InvalidProxyLine,
    InvalidRequestLine,
    UnsupportedTransferCoding,
)

ChunkedReader = optional("gunicorn.http.body:ChunkedReader", None)

BARE_LF = "bare LF as line terminator"

#: What a request target consists of (RFC 9112 section 3.2, RFC 3986 section 2).
_TARGET = re.compile(r"[\x21-\x7e]+")
#: Every release refuses NUL in a field: with all other control characters in its place (RFC 9110
#: section 5.5) they are refused at the same point. CR and LF are refused as they are.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
_TO_NUL = bytes.maketrans(_CONTROLS, bytes(len(_CONTROLS)))
#: Fields of which a second one makes a message ambiguous (RFC 9110 section 5.3).
_SINGLE = frozenset(("HOST", "CONTENT-TYPE"))
#: Fields that come too late in a trailer section (RFC 9110 section 6.5.1).
_NOT_IN_TRAILERS = frozenset(("HOST", "CONTENT-LENGTH", "TRANSFER-ENCODING", "TRAILER", "AUTHORIZATION", "TE"))
#: What str.strip() takes for white space around a transfer coding, though HTTP does not.
_NO_SPACE = re.compile("[\x85\xa0]")


def request_class() -> type[StrictRequest | PlainRequest]:
    """Return the class that parses a head: a strict one, if Gunicorn's has all that can be made stricter."""
    return StrictRequest if works(Feature.STRICT_PARSER) else PlainRequest


class StrictConfig:
    """Gunicorn's configuration as :class:`StrictRequest` reads it: looked up once, some of it overridden.

    :param trusting: whether the peer is in ``forwarded_allow_ips``: that is the caller's to say, so that
        both ways to parse a head go by the same answer
    """

    def __init__(self, cfg: Any, trusting: bool) -> None:
        self._cfg = cfg
        # Gunicorn's parser in C, gunicorn_h1c, accepts heads that its Python parser refuses.
        self.http_parser = "python"
        self.limit_request_field_size: int = cfg.limit_request_field_size or DEFAULT_FIELD
        self.forwarded_allow_ips = ["*"] if trusting else []
        self.forwarded_allow_networks = list

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cfg, name)
        setattr(self, name, value)
        return value


class StrictRequest(GunicornRequest):  # type: ignore[misc]
    """A request head that Gunicorn parsed; its methods raise what Gunicorn's own do."""

    def parse_request_line(self, line_bytes: bytes) -> None:
        if self.proxy_protocol_info and "\0" in "{client_addr}{proxy_addr}".format(**self.proxy_protocol_info):
            # PyPy's inet_pton() reads no further than a NUL.
            raise InvalidProxyLine("NUL in an address")
        if b"\n" in line_bytes:
            raise InvalidRequestLine(BARE_LF)
        try:
            super().parse_request_line(line_bytes)
        finally:
            # Also if it was refused for what comes behind the target: the first fault is named.
            if self.uri is not None and not self._is_target(self.uri):
                raise InvalidRequestLine(line_bytes.decode("latin-1"))

    def _is_target(self, target: str) -> bool:
        if _TARGET.fullmatch(target) is None:
            return False
        if target == "*":
            return bool(self.method == "OPTIONS")
        return bool(self.method == "CONNECT") or target.startswith("/") or "://" in target

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = super().parse_headers(data.translate(_TO_NUL), from_trailer)
        met = set()
        for name, value in headers:
            if from_trailer and name in _NOT_IN_TRAILERS:
                raise InvalidHeaderName(name)
            if name in _SINGLE:
                if name in met:
                    raise InvalidHeader(name, req=self)
                met.add(name)
            if name == "EXPECT" and not from_trailer and value.lower() != "100-continue":
                # Gunicorn 23 has no exception for it.
                raise Refusal(417, "Expectation Failed", f"Unable to comply with expectation: {value!r}")
        return headers

    def set_body_reader(self) -> None:
        super().set_body_reader()
        codings = [value for name, value in self.headers if name == "TRANSFER-ENCODING"]
        for value in codings:
            if _NO_SPACE.search(value):
                raise UnsupportedTransferCoding(value)
        # Without chunked as the last coding the end of the body is unknown (RFC 9112 section 6.3).
        if codings and not self.is_chunked:
            raise InvalidHeader("TRANSFER-ENCODING", req=self)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return isinstance(self.body.reader, ChunkedReader)

    def parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Return the fields of a trailer *section*, given without its empty line."""
        return self.parse_headers(section, from_trailer=True)


class PlainRequest(GunicornRequest):  # type: ignore[misc]
    """A request head as Gunicorn's parser alone judges it, in place of a :class:`StrictRequest`."""

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return not hasattr(self.body.reader, "length")

    def parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Discard a trailer *section* (RFC 9110 section 6.5.1)."""
        return []
