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
from functools import lru_cache
from typing import Any, Callable

from gunicorn.http.errors import (
    InvalidHeader,
    InvalidProxyLine,
    InvalidRequestLine,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gunicorn.http.unreader import IterUnreader

from gworkers.http1.chunked import ChunkLimits
from gworkers.http1.fields import FieldNames, environ_fields, environ_key
from gworkers.http1.proxy import FIXED, TELLING, proxy_header_end, proxy_mode
from gworkers.http1.refusal import refusal_for
from gworkers.http1.request import Request
from gworkers.http1.strict import BARE_LF, StrictConfig, StrictRequest

METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}
HTTP_11 = (1, 1)
VERSIONS = {0: (1, 0), 1: HTTP_11}

END = b"\r\n\r\n"
#: Gunicorn's own bounds, where its settings say none or too much.
MAX_LINE, MAX_FIELDS = 8190, 32768
#: A line that Gunicorn does not limit still ends somewhere.
LONGEST_LINE = 1024 * 1024


class HeadParser:
    """Parses the request heads of one worker.

    :param cfg: Gunicorn's configuration
    :param fast: ``gunicorn_h1c.parse_request_fast``, or None to leave everything to Gunicorn's parser
    """

    def __init__(self, cfg: Any, fast: Callable[[bytes], Any] | None) -> None:
        self._fast = fast
        self._trusting = StrictConfig(cfg, trusting=True)
        self._distrusting = StrictConfig(cfg, trusting=False)
        self._proxy_mode = proxy_mode(cfg.proxy_protocol)
        self._proxied = self._proxy_mode != "off"
        self._names = FieldNames()
        self._scheme = "https" if cfg.is_ssl else "http"
        # Gunicorn compares names in upper case, so others are never met; with an underscore they are declined.
        self._secure_schemes = {environ_key(name): value for name, value in cfg.secure_scheme_headers.items()
                                if name == name.upper() and "_" not in name}
        self._line_limit = min(cfg.limit_request_line, MAX_LINE) or LONGEST_LINE
        self._fields_limit = min(cfg.limit_request_fields or MAX_FIELDS, MAX_FIELDS)
        self._field_limit = self._trusting.limit_request_field_size
        self._section_limit = self._fields_limit * (self._field_limit + 2) + 4
        #: bounds on the framing of chunked bodies, likewise
        self.chunk_limits = ChunkLimits(self._field_limit, self._section_limit)

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
        if (not seen or data.find(END, max(seen - 3, 0)) >= 0) and self._fast is not None and not proxied:
            # What came in one piece is bytes already, and most heads do.
            request = self._parse_fast(bytes(data) if seen else data, trusted)  # type: ignore[arg-type]
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
        return request

    def _parse_fast(self, data: bytes, trusted: bool) -> Request | None:
        try:
            head = self._fast(data)  # type: ignore[misc]
            uri: str = head.path.decode("ascii")
            method = METHODS[head.method]
            version = VERSIONS[head.minor_version]
        except Exception:
            return None
        size: int = head.consumed
        headers = head.headers
        count = len(headers)
        line = len(method) + len(uri) + 10
        # An ordinary request line has single spaces, and each line ends in CRLF. The parser accepts
        # less, but it counts a line for each LF, so that a bare one makes the sum wrong. A folded
        # line is counted too, as a field without a name.
        if (data[line:line + 2] != b"\r\n" or data.count(b"\r\n", 0, size) != count + 2
                or line > self._line_limit or count > self._fields_limit
                or (size > self._field_limit and longest_line(data[:size]) > self._field_limit)
                or uri[:1] != "/" or "#" in uri):
            return None
        fields = self._names.fields(headers)
        if fields is None or "HTTP_EXPECT" in fields:
            return None
        length: int | None = 0
        if "CONTENT_LENGTH" in fields:
            digits = fields["CONTENT_LENGTH"]
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
                return None
            length = int(digits)
        if "HTTP_TRANSFER_ENCODING" in fields:
            if fields["HTTP_TRANSFER_ENCODING"].lower() != "chunked" or "CONTENT_LENGTH" in fields or version < (1, 1):
                return None
            length = None
        keepalive = version is HTTP_11
        if "HTTP_CONNECTION" in fields:
            keepalive = keeps_alive(fields["HTTP_CONNECTION"], version)
        scheme = self._scheme
        if trusted:
            for key in self._secure_schemes:
                if key in fields:
                    scheme = self._said_scheme(fields)
                    if not scheme:
                        return None
                    break
        path, query = uri, ""
        if "?" in uri:
            path, _, query = uri.partition("?")
        request = Request(size, method, uri, path, query, version, scheme, fields, length, keepalive)
        request.raw_headers = headers
        if length is None:
            request.parse_trailers = self._parse_trailers
        return request

    def _said_scheme(self, fields: dict[str, str]) -> str:
        """Return the scheme that *fields* of a trusted proxy say; nothing if they contradict each other."""
        said = {"https" if fields[key] == secure else "http"
                for key, secure in self._secure_schemes.items() if key in fields}
        return said.pop() if len(said) == 1 else ""

    def _parse_slow(self, data: bytes | bytearray, seen: int, peer: Any, trusted: bool,
                    proxied: bool) -> Request | None:
        begin = 0
        if proxied:
            begin = proxy_header_end(data, self._proxy_mode)
            if begin < 0:
                if seen < FIXED and len(data) >= TELLING:
                    self._judge(data, peer, trusted, proxied=True)
                if len(data) > LONGEST_LINE:
                    raise InvalidProxyLine(f"line over {LONGEST_LINE} bytes with no terminator")
                return None
            if seen < max(begin, TELLING):
                # Nothing has been made yet of what comes behind it.
                seen = 0
                if begin:
                    self._judge(data[:begin].ljust(TELLING), peer, trusted, proxied=True)
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
        request.parse_trailers = self._parse_trailers
        return request

    def _check_unfinished(self, data: bytes | bytearray, seen: int, start: int, fields: int) -> None:
        """Refuse a head that cannot become valid.

        :param start: where the request line starts
        :param fields: where the header fields start, 0 if the request line has not ended
        """
        if not fields:
            if len(data) - start - 2 > self._line_limit:
                raise LimitRequestLine(len(data) - start, self._line_limit)
            return
        new = max(fields, seen - data.endswith(b"\r", 0, seen))
        if data.count(b"\n", new) != data.count(b"\r\n", new):
            raise InvalidHeader(BARE_LF)
        if len(data) - fields > self._section_limit:
            raise LimitRequestHeaders("max buffer headers")

    def _judge(self, data: bytes | bytearray, peer: Any, trusted: bool, *, proxied: bool) -> None:
        """Refuse an unfinished head if what there is of it is wrong already."""
        with suppress(NoMoreData):
            self._consult(data, peer, trusted, proxied=proxied)

    def _consult(self, data: bytes | bytearray, peer: Any, trusted: bool, *, proxied: bool) -> StrictRequest:
        # Whether there is a PROXY header is known here; only in a connection's first request does the parser look.
        return StrictRequest(self._trusting if trusted else self._distrusting, IterUnreader([bytes(data)]), peer,
                             1 if proxied else 2)

    def _parse_trailers(self, section: bytes) -> list[tuple[str, str]]:
        """Parse the trailer section of a chunked body, given without its empty line.

        :raises Refusal: if it must be refused
        """
        # How trailers are parsed does not depend on the request that they belong to.
        request = self._consult(b"GET / HTTP/1.1\r\n\r\n", "", trusted=False, proxied=False)
        try:
            return request.parse_headers(section, from_trailer=True)
        except ParseException as error:
            raise refusal_for(error) from None


def longest_line(head: bytes) -> int:
    """Return the size of the longest line of *head*, its end included."""
    return max(map(len, head.split(b"\r\n"))) + 2


@lru_cache(maxsize=64)
def keeps_alive(connection: str, version: tuple[int, int]) -> bool:
    """Whether a *connection* field leaves the connection open after a request (RFC 9112 section 9.3)."""
    options = [option.strip(" \t") for option in connection.lower().split(",")]
    return "close" not in options and (version >= (1, 1) or "keep-alive" in options)
