"""Gunicorn's own parser, with the rules of the newest release on every supported release.

Gunicorn 27 refuses many requests that 23 and 25 accept. This module adds the rules that have changed
since then, each at the point where Gunicorn 27 applies it, so that all releases refuse the same
requests and mostly name the same fault. On the newest release it refuses nothing that Gunicorn's
parser accepts.
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

#: The characters of a request target (RFC 9112 section 3.2, RFC 3986 section 2).
_TARGET = re.compile(r"[\x21-\x7e]+")
#: Every release refuses NUL in a field. Other control characters (RFC 9110 section 5.5) are replaced
#: by NUL, so that they are refused at the same point. Every release refuses CR and LF.
_CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
_TO_NUL = bytes.maketrans(_CONTROLS, bytes(len(_CONTROLS)))
#: Fields that must not be repeated (RFC 9110 section 5.3).
_SINGLE = frozenset(("HOST", "CONTENT-TYPE"))
#: Fields that must not be in a trailer section (RFC 9110 section 6.5.1).
_NOT_IN_TRAILERS = frozenset(("HOST", "CONTENT-LENGTH", "TRANSFER-ENCODING", "TRAILER", "AUTHORIZATION", "TE"))
#: Characters that str.strip() removes around a transfer coding, although they are not white space in HTTP.
_NOT_SPACE = re.compile("[\x85\xa0]")


def request_class() -> type[StrictRequest | PlainRequest]:
    """Return the class that parses heads: the strict one if the installed Gunicorn's parser can be made strict."""
    return StrictRequest if works(Feature.STRICT_PARSER) else PlainRequest


class StrictConfig:
    """Gunicorn's configuration as :class:`StrictRequest` reads it. Each setting is looked up once.

    :param trusting: whether the peer is in ``forwarded_allow_ips``. The caller decides that, for both parsers.
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
    """A request head that was checked by Gunicorn's parser and by the rules of this module."""

    def parse_request_line(self, line_bytes: bytes) -> None:
        if self.proxy_protocol_info and "\0" in "{client_addr}{proxy_addr}".format(**self.proxy_protocol_info):
            # PyPy's inet_pton() stops at a NUL.
            raise InvalidProxyLine("NUL in an address")
        if b"\n" in line_bytes:
            raise InvalidRequestLine(BARE_LF)
        try:
            super().parse_request_line(line_bytes)
        finally:
            # Checked even if the line was refused for its version, because the error is to name the first fault.
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
        seen = set()
        for name, value in headers:
            if from_trailer and name in _NOT_IN_TRAILERS:
                raise InvalidHeaderName(name)
            if name in _SINGLE:
                if name in seen:
                    raise InvalidHeader(name, req=self)
                seen.add(name)
            if name == "EXPECT" and not from_trailer and value.lower() != "100-continue":
                # Gunicorn 23 has no exception for it.
                raise Refusal(417, "Expectation Failed", f"Unable to comply with expectation: {value!r}")
        return headers

    def set_body_reader(self) -> None:
        super().set_body_reader()
        codings = [value for name, value in self.headers if name == "TRANSFER-ENCODING"]
        for value in codings:
            if _NOT_SPACE.search(value):
                raise UnsupportedTransferCoding(value)
        # If chunked is not the last coding, the body has no known end (RFC 9112 section 6.3).
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
    """A request head that Gunicorn's parser alone has checked, in place of a :class:`StrictRequest`."""

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return not hasattr(self.body.reader, "length")

    def parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Discard a trailer *section* (RFC 9110 section 6.5.1)."""
        return []
