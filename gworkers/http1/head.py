"""Parse a request head: the ordinary one fast, every other by Gunicorn's own parser.

The fast way may decline, never disagree: it answers only for heads of which it is certain that
Gunicorn's Python parser accepts them and sees the same in them. All others go to that parser, and
its verdict counts; :mod:`gworkers.http1.strict` makes that of an old release as strict as that of
the newest.

An unfinished head costs its new bytes, however small the pieces it comes in: they are put behind the
others in place, and Gunicorn's parser is asked about it once, when its request line is complete.
What that parser would refuse without knowing the rest (no end of a line in sight, a bare LF) is
refused here.
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
        #: bounds on the framing of chunked bodies, likewise
        self.chunk_limits = ChunkLimits(self._limits.field, self._limits.section)

    def parse(self, data: bytes | bytearray, seen: int, peer: Any, trusted: bool, number: int) -> Request | None:
        """Parse the head that *data* starts with.

        :param data: all bytes received since the last request ended; may be a bytearray if it came in pieces
        :param seen: how many of them were there the last time, when this returned None
        :param peer: the address of the peer as the socket gave it
        :param trusted: whether *peer* is a proxy whose word on scheme and environ counts (``forwarded_allow_ips``)
        :param number: which request this is on its connection, from 1
        :returns: the request, or None when the head is not complete
        :raises Refusal: if the head must be refused
        """
        request = None
        proxied = self._proxied and number == 1
        if self._fast is not None and not proxied and (not seen or data.find(END, max(seen - 3, 0)) >= 0):
            request = self._fast.parse(data, trusted)
        if request is None:
            try:
                request = self._parse_slow(data, seen, peer, trusted, proxied)
            except (ParseException, ValueError) as error:
                # A ValueError is what Gunicorn's parser lets out of the standard library's at some bytes.
                raise refusal_for(error) from None
            if request is None:
                return None
        request.peer_addr = peer
        request.req_number = number
        if request.length is None:
            request.parse_trailers = self._parse_trailers
        return request

    def _parse_slow(self, data: bytes | bytearray, seen: int, peer: Any, trusted: bool,
                    proxied: bool) -> Request | None:
        begin = 0
        if proxied:
            begin = proxy_header_end(data, self._proxy_mode)
            if begin < 0:
                if seen < FIXED_SIZE and len(data) >= SIGNATURE_SIZE:
                    self._judge(data, peer, trusted, proxied=True)
                if len(data) > LONGEST_LINE:
                    raise InvalidProxyLine(f"line over {LONGEST_LINE} bytes with no terminator")
                return None
            if seen < max(begin, SIGNATURE_SIZE):
                # Nothing has been made yet of what comes behind it.
                seen = 0
                if begin:
                    self._judge(data[:begin].ljust(SIGNATURE_SIZE), peer, trusted, proxied=True)
        # One empty line before the request line is ignored (RFC 9112 section 2.2); only the newest Gunicorn does.
        start = begin
        if data.startswith(b"\r\n", begin) and not data.startswith(END, begin):
            start += 2
        end = data.find(END, max(start, seen - 3))
        if end < 0:
            fields = data.find(b"\n", start) + 1
            if fields and seen < fields:
                if not data.endswith(b"\r\n", start, fields):
                    raise InvalidRequestLine(BARE_LF)
                self._judge(data[:begin] + data[start:], peer, trusted, proxied=begin > 0)
            self._check_unfinished(data, seen, start, fields)
            return None
        size = end + len(END)
        head = self._consult(data[:begin] + data[start:size], peer, trusted, proxied=begin > 0)
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
        """Refuse a head that cannot become valid.

        :param start: where the request line starts
        :param fields: where the header fields start, 0 if the request line has not ended
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

    def _judge(self, data: bytes | bytearray, peer: Any, trusted: bool, *, proxied: bool) -> None:
        """Refuse an unfinished head if what there is of it is wrong already."""
        with suppress(NoMoreData):
            self._consult(data, peer, trusted, proxied=proxied)

    def _consult(self, data: bytes | bytearray, peer: Any, trusted: bool, *,
                 proxied: bool) -> StrictRequest | PlainRequest:
        # Whether there is a PROXY header is known here; only in a connection's first request does the parser look.
        return self._request_class(self._trusting if trusted else self._distrusting, IterUnreader([bytes(data)]), peer,
                                   1 if proxied else 2)

    def _parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Parse the trailer section of a chunked body, given without its empty line.

        :raises Refusal: if it must be refused
        """
        # How trailers are parsed does not depend on the request that they belong to.
        request = self._consult(b"GET / HTTP/1.1\r\n\r\n", "", trusted=False, proxied=False)
        try:
            return request.parse_trailers(section)
        except ParseException as error:
            raise refusal_for(error) from None
