"""Parse ordinary request heads, and leave all others to Gunicorn's parser.

The fast parser must not differ from Gunicorn's: it returns a request only for a head that Gunicorn's
Python parser is certain to accept and to read in the same way. It declines everything unusual:
another method, version or form of the request target, a repeated field, an underscore in a name,
an expectation, a transfer coding other than ``chunked``, a byte that HTTP does not allow, a limit
that is exceeded, contradicting scheme headers. It raises nothing.
"""
from __future__ import annotations

from typing import Any

from gworkers.gunicorn_compat import works
from gworkers.gunicorn_internals import Feature
from gworkers.http1.field_lines import FieldLines
from gworkers.http1.fields import environ_key, keeps_alive
from gworkers.http1.limits import HeadLimits
from gworkers.http1.request import Request

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
VERSIONS = {"HTTP/1.0": (1, 0), "HTTP/1.1": (1, 1)}

END = b"\r\n\r\n"
#: Digits that a Content-Length may have here. int() refuses very long numbers.
LENGTH_DIGITS = 18


def fast_parser(cfg: Any) -> FastParser | None:
    """Return the fast parser, or None if the setting ``http_parser`` is ``python``.

    None also if the installed Gunicorn's parser cannot be made strict, because the two may read a head differently.
    """
    # Gunicorn has the setting since release 25.
    wanted = getattr(cfg, "http_parser", "auto") != "python"
    return FastParser(cfg) if wanted and works(Feature.STRICT_PARSER) else None


class FastParser:
    """Parses the ordinary request heads of one worker.

    :param cfg: Gunicorn's configuration
    """

    def __init__(self, cfg: Any) -> None:
        limits = HeadLimits(cfg)
        self._line_limit = limits.line
        self._fields_limit = limits.fields
        self._field_lines = FieldLines(limits.field - len("\r\n"))
        self._known = self._field_lines.known
        self._scheme = "https" if cfg.is_ssl else "http"
        # Gunicorn compares names in upper case, so other names never match. A head with an underscore in a field name
        # is declined.
        self._secure_schemes = {environ_key(name): value for name, value in cfg.secure_scheme_headers.items()
                                if name == name.upper() and "_" not in name}

    def parse(self, data: bytes | bytearray, trusted: bool) -> Request | None:
        """Return the request whose head *data* starts with, or None to decline.

        :param trusted: whether the peer is a proxy in ``forwarded_allow_ips``
        """
        end = data.find(END)
        if end < 0:
            return None
        lines = data[:end].decode("latin-1").split("\r\n")
        request_line = lines.pop(0)
        parts = request_line.split(" ")
        if len(parts) != 3:
            return None
        method, uri, protocol = parts
        # The printable characters of ASCII go from the space to the tilde. After the split there is no space.
        if (method not in METHODS or protocol not in VERSIONS or uri[:1] != "/" or "#" in uri
                or not (uri.isascii() and uri.isprintable())
                or len(request_line) > self._line_limit or len(lines) > self._fields_limit):
            return None
        items: list[Any] = list(map(self._known.get, lines))
        if None in items and not self._field_lines.complete(items, lines):
            return None
        fields = dict(items)
        if len(fields) != len(lines) or "HTTP_EXPECT" in fields:
            # A repeated field, or an expectation.
            return None
        version = VERSIONS[protocol]
        length: int | None = 0
        if "CONTENT_LENGTH" in fields:
            digits = fields["CONTENT_LENGTH"]
            if not (digits.isascii() and digits.isdigit() and len(digits) <= LENGTH_DIGITS):
                return None
            length = int(digits)
        if "HTTP_TRANSFER_ENCODING" in fields:
            if (fields["HTTP_TRANSFER_ENCODING"].lower() != "chunked" or "CONTENT_LENGTH" in fields
                    or version != (1, 1)):
                return None
            length = None
        if "HTTP_CONNECTION" in fields:
            keepalive = keeps_alive(fields["HTTP_CONNECTION"], version)
        else:
            keepalive = protocol == "HTTP/1.1"
        scheme = self._scheme
        if trusted:
            for key in self._secure_schemes:
                if key in fields:
                    scheme = self._scheme_of(fields)
                    if not scheme:
                        return None
                    break
        path, _, query = uri.partition("?")
        return Request(end + len(END), method, uri, path, query, version, scheme, fields, length, keepalive)

    def _scheme_of(self, fields: dict[str, str]) -> str:
        """Return the scheme that *fields* of a trusted proxy give; an empty string if they contradict each other."""
        schemes = {"https" if fields[key] == secure else "http"
                   for key, secure in self._secure_schemes.items() if key in fields}
        return schemes.pop() if len(schemes) == 1 else ""
