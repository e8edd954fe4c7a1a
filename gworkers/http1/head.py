"""Parse a request head: the ordinary one fast, every other by Gunicorn's own parser.

The fast way may decline, never disagree: it answers only for heads of which it is certain that
Gunicorn's Python parser accepts them and sees the same in them. All others go to that parser,
byte for byte, and its verdict counts; :mod:`gworkers.http1.strict` makes the verdict of an old
Gunicorn as strict as that of the newest.
"""
from __future__ import annotations

from functools import partial
from typing import Any, Callable

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import NoMoreData
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader

from gworkers.errors import Refusal
from gworkers.http1.body import ChunkLimits
from gworkers.http1.fields import FieldNames, environ_fields, environ_key
from gworkers.http1.refusal import refusal_for
from gworkers.http1.request import Request
from gworkers.http1.strict import check_complete, check_incomplete

METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")}
VERSIONS = ((1, 0), (1, 1))

#: A request line that Gunicorn does not limit still ends somewhere.
LONGEST_LINE = 1024 * 1024


class ParserConfig:
    """Gunicorn's configuration as its parser reads it: looked up once, and with the Python parser.

    gunicorn_h1c accepts heads that the Python parser refuses, so it must not be the authority.
    """

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self.http_parser = "python"

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cfg, name)
        setattr(self, name, value)
        return value


class HeadParser:
    """Parses the request heads of one worker.

    :param cfg: Gunicorn's configuration
    :param fast: ``gunicorn_h1c.parse_request_fast``, or None to leave everything to Gunicorn's parser
    """

    def __init__(self, cfg: Any, fast: Callable[[bytes], Any] | None) -> None:
        self._cfg = ParserConfig(cfg)
        self._fast = fast
        self._names = FieldNames()
        self._scheme = "https" if cfg.is_ssl else "http"
        self._secure_schemes = [(environ_key(name), value) for name, value in cfg.secure_scheme_headers.items()]
        # As Gunicorn's parser bounds them; 0 and less mean its own bounds there.
        self._line_limit = cfg.limit_request_line if 0 < cfg.limit_request_line <= 8190 else 8190
        self._fields_limit = cfg.limit_request_fields if 0 < cfg.limit_request_fields <= 32768 else 32768
        self._field_limit = cfg.limit_request_field_size if cfg.limit_request_field_size > 0 else 8190
        self._head_limit = self._fields_limit * (self._field_limit + 2) + 4 + (cfg.limit_request_line or LONGEST_LINE)
        #: bounds on the framing of chunked bodies, likewise
        self.chunk_limits = ChunkLimits(self._field_limit, self._fields_limit * (self._field_limit + 2) + 4)
        self._proxied = cfg.proxy_protocol not in (False, "off")

    def parse(self, data: bytes, seen: int, peer: Any, trusted: bool, number: int) -> Request | None:
        """Parse the head that *data* starts with.

        :param data: all bytes received since the last request ended
        :param seen: how many of them were there the last time, when this returned None
        :param peer: the address of the peer as the socket gave it
        :param trusted: whether *peer* may say by which scheme the request came to it
        :param number: which request this is on its connection, from 1
        :returns: the request, or None when the head is not complete
        :raises Refusal: if the head must be refused
        """
        proxied = self._proxied and number == 1
        if self._fast is not None and not proxied:
            request = self._parse_fast(data, trusted)
            if request is not None:
                request.peer_addr = peer
                request.req_number = number
                return request
        if b"\r\n\r\n" not in data and not proxied:
            if len(data) > self._head_limit:
                raise Refusal(431, "Request Header Fields Too Large", "request head of unlimited size")
            check_incomplete(data, seen)
            # Its verdict on an unfinished head is wanted once in a while, not for each byte of a slow one.
            if len(data).bit_length() == seen.bit_length():
                return None
        return self._parse_slow(data, peer, number)

    def _parse_fast(self, data: bytes, trusted: bool) -> Request | None:
        try:
            head = self._fast(data)  # type: ignore[misc]
        except Exception:
            return None
        size: int = head.consumed
        target: bytes = head.path
        method = METHODS.get(head.method)
        lines = head.header_count + 2
        # Each line of an ordinary head ends in CRLF, holds one field and no bare CR or LF; the
        # parser accepts less (folded fields, bare LF, more spaces), which these sums give away.
        if (method is None or size > self._field_limit
                or head.header_count > self._fields_limit
                or data.count(b"\n", 0, size) != lines or data.count(b"\r\n", 0, size) != lines
                or data.find(b"\r\n") != len(method) + len(target) + 10
                or len(method) + len(target) + 10 > self._line_limit
                or target[:1] != b"/" or target[:2] == b"//" or b"#" in target or not target.isascii()):
            return None
        fields = self._names.fields(head.headers)
        if fields is None or "HTTP_EXPECT" in fields or "HTTP_TRANSFER_ENCODING" in fields:
            return None
        length = 0
        if "CONTENT_LENGTH" in fields:
            digits = fields["CONTENT_LENGTH"]
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
                return None
            length = int(digits)
        version = VERSIONS[head.minor_version]
        keepalive = version == (1, 1)
        if "HTTP_CONNECTION" in fields:
            keepalive = keeps_alive(fields["HTTP_CONNECTION"], version)
        scheme = self._scheme
        if trusted:
            said = {"https" if fields[key] == secure else "http"
                    for key, secure in self._secure_schemes if key in fields}
            if len(said) > 1:
                return None
            for scheme in said:
                break
        uri = target.decode("ascii")
        path, _, query = uri.partition("?")
        request = Request(size, method, uri, path, query, version, scheme, fields, length, keepalive)
        request.raw_headers = head.headers
        return request

    def _parse_slow(self, data: bytes, peer: Any, number: int) -> Request | None:
        unreader = IterUnreader([data])
        try:
            head = GunicornRequest(self._cfg, unreader, peer, number)
        except (NoMoreData, StopIteration):
            return None
        except Exception as error:
            refusal = refusal_for(error)
            if refusal is None:
                raise
            raise refusal from None
        size = len(data) - len(unreader.buf.getvalue())
        check_complete(data[:size], head, self._cfg)
        fields, script_name = environ_fields(head.headers)
        reader = head.body.reader
        length = None if isinstance(reader, ChunkedReader) else reader.length
        keepalive = not head.should_close()
        if keepalive and "HTTP_CONNECTION" in fields:
            keepalive = keeps_alive(fields["HTTP_CONNECTION"], head.version)
        request = Request(size, head.method, head.uri, head.path, head.query, head.version,
                          head.scheme, fields, length, keepalive)
        request.fragment = head.fragment
        request.headers = head.headers
        request.script_name = script_name
        request.peer_addr = peer
        request.req_number = number
        request.proxy_protocol_info = head.proxy_protocol_info
        request.parse_trailers = partial(self._parse_trailers, head)
        request.expects_continue = head.version >= (1, 1) and fields.get("HTTP_EXPECT", "").lower() == "100-continue"
        return request


    def _parse_trailers(self, head: Any, section: bytes) -> list[tuple[str, str]]:
        """Parse the trailer section of a chunked body, given without its empty line."""
        try:
            return head.parse_headers(section, from_trailer=True)  # type: ignore[no-any-return]
        except Exception as error:
            refusal = refusal_for(error)
            if refusal is None:
                raise
            raise refusal from None


def keeps_alive(connection: str, version: tuple[int, int]) -> bool:
    """Whether a *connection* field leaves the connection open after a request (RFC 9112 section 9.3)."""
    options = [option.strip(" \t") for option in connection.lower().split(",")]
    return "close" not in options and (version >= (1, 1) or "keep-alive" in options)
