"""Parse request heads, whole or in pieces.

:mod:`gworkers.http1.fast` parses ordinary heads. It declines all others, which then go to Gunicorn's
Python parser. :mod:`gworkers.http1.strict` makes the parser of an old release as strict as the newest.

A head that arrives in small pieces costs time for its new bytes only. Gunicorn's parser is called with
an unfinished head once, when its request line is complete. This module itself refuses an unfinished head
that the parser would refuse without the rest, for instance because of a long line or a bare LF.
"""
from __future__ import annotations

from contextlib import suppress
from typing import Any

from gunicorn.http.unreader import IterUnreader

from gworkers.http1.chunked import ChunkLimits
from gworkers.http1.fast import END, FastParser
from gworkers.http1.fields import environ_fields, keeps_alive
from gworkers.http1.limits import LONGEST_LINE, HeadLimits
from gworkers.http1.parse_errors import (
    InvalidHeader,
    InvalidProxyLine,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gworkers.http1.proxy import FIXED_SIZE, SIGNATURE_SIZE, proxy_header_end, proxy_mode
from gworkers.http1.refusal import refusal_for
from gworkers.http1.request import Request
from gworkers.http1.strict import BARE_LF, PlainRequest, StrictConfig, StrictRequest, request_class


class HeadParser:
    """Parses the request heads of one worker.

    :param cfg: Gunicorn's configuration
    :param fast: parses ordinary heads; None to leave all of them to Gunicorn's parser
    """

    def __init__(self, cfg: Any, fast: FastParser | None) -> None:
        self._fast = fast
        self._request_class = request_class()
        self._trusting = StrictConfig(cfg, trusting=True)
        self._distrusting = StrictConfig(cfg, trusting=False)
        self._proxy_mode = proxy_mode(cfg.proxy_protocol)
        self._proxied = self._proxy_mode != "off"
        self._limits = HeadLimits(cfg)
        #: limits on the framing of chunked bodies
        self.chunk_limits = ChunkLimits(self._limits.field, self._limits.section)

    def parse(self, data: bytes | bytearray, seen: int, peer: Any, trusted: bool, number: int) -> Request | None:
        """Parse the head that *data* starts with.

        :param data: all bytes received since the last request ended; may be a bytearray if they came in pieces
        :param seen: the size of *data* in the last call, if that returned None for the same head; otherwise 0
        :param peer: the address of the peer, as the socket returns it
        :param trusted: whether *peer* is a proxy in ``forwarded_allow_ips``, which may set scheme and environ
        :param number: the number of the request on its connection, from 1
        :returns: the request, or None if the head is not complete
        :raises Refusal: if the head must be refused
        """
        request = None
        proxied = self._proxied and number == 1
        if self._fast is not None and not proxied and (not seen or data.find(END, max(seen - 3, 0)) >= 0):
            request = self._fast.parse(data, trusted)
        if request is None:
            try:
                request = self._parse_with_gunicorn(data, seen, peer, trusted, proxied)
            except (ParseException, ValueError) as error:
                # Gunicorn's parser does not catch every ValueError of the standard library's functions.
                raise refusal_for(error) from None
            if request is None:
                return None
        request.peer_addr = peer
        request.req_number = number
        if request.length is None:
            request.parse_trailers = self._parse_trailers
        return request

    def _parse_with_gunicorn(self, data: bytes | bytearray, seen: int, peer: Any, trusted: bool,
                    proxied: bool) -> Request | None:
        begin = 0
        if proxied:
            begin = proxy_header_end(data, self._proxy_mode)
            if begin < 0:
                if seen < FIXED_SIZE and len(data) >= SIGNATURE_SIZE:
                    self._refuse_early(data, peer, trusted, proxied=True)
                if len(data) > LONGEST_LINE:
                    raise InvalidProxyLine(f"line over {LONGEST_LINE} bytes with no terminator")
                return None
            if seen < max(begin, SIGNATURE_SIZE):
                # What follows the PROXY header has not been looked at yet.
                seen = 0
                if begin:
                    self._refuse_early(data[:begin].ljust(SIGNATURE_SIZE), peer, trusted, proxied=True)
        # One empty line before the request line is ignored (RFC 9112 section 2.2). Old releases of Gunicorn do not
        # ignore it.
        start = begin
        if data.startswith(b"\r\n", begin) and not data.startswith(END, begin):
            start += 2
        end = data.find(END, max(start, seen - 3))
        if end < 0:
            fields = data.find(b"\n", start) + 1
            if fields and seen < fields:
                if not data.endswith(b"\r\n", start, fields):
                    raise InvalidRequestLine(BARE_LF)
                self._refuse_early(data[:begin] + data[start:], peer, trusted, proxied=begin > 0)
            self._check_unfinished(data, seen, start, fields)
            return None
        size = end + len(END)
        head = self._gunicorn_request(data[:begin] + data[start:size], peer, trusted, proxied=begin > 0)
        environ, script_name = environ_fields(head.headers)
        closes = head.must_close or head.method == "CONNECT"
        request = Request(size, head.method, head.uri, head.path, head.query, head.version, head.scheme, environ,
                          None if head.is_chunked else head.body.reader.length,
                          not closes and keeps_alive(environ.get("HTTP_CONNECTION", ""), head.version))
        request.fragment = head.fragment
        request.headers = head.headers
        request.script_name = script_name
        request.proxy_protocol_info = head.proxy_protocol_info
        request.expects_continue = "HTTP_EXPECT" in environ and head.version >= (1, 1)
        return request

    def _check_unfinished(self, data: bytes | bytearray, seen: int, start: int, fields: int) -> None:
        """Refuse an unfinished head that cannot become valid.

        :param start: index of the request line
        :param fields: index of the header fields, 0 if the request line has not ended
        """
        if not fields:
            if len(data) - start - 2 > self._limits.line:
                raise LimitRequestLine(len(data) - start, self._limits.line)
            return
        new = max(fields, seen - data.endswith(b"\r", 0, seen))
        if data.count(b"\n", new) != data.count(b"\r\n", new):
            raise InvalidHeader(BARE_LF)
        if len(data) - fields > self._limits.section:
            raise LimitRequestHeaders("max buffer headers")

    def _refuse_early(self, data: bytes | bytearray, peer: Any, trusted: bool, *, proxied: bool) -> None:
        """Refuse an unfinished head if the part that has arrived is invalid."""
        with suppress(NoMoreData):
            self._gunicorn_request(data, peer, trusted, proxied=proxied)

    def _gunicorn_request(self, data: bytes | bytearray, peer: Any, trusted: bool, *,
                 proxied: bool) -> StrictRequest | PlainRequest:
        # Gunicorn's parser looks for a PROXY header in the first request of a connection only.
        return self._request_class(self._trusting if trusted else self._distrusting, IterUnreader([bytes(data)]), peer,
                                   1 if proxied else 2)

    def _parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Parse the trailer section of a chunked body, given without its empty line.

        :raises Refusal: if it must be refused
        """
        # Gunicorn's parser needs a request, but trailers do not depend on it.
        request = self._gunicorn_request(b"GET / HTTP/1.1\r\n\r\n", "", trusted=False, proxied=False)
        try:
            return request.parse_trailers(section)
        except ParseException as error:
            raise refusal_for(error) from None
