"""Read header field lines, and remember those that clients repeat.

Browsers and proxies repeat nearly all field lines from request to request. Such a line is checked
once and looked up afterwards. Only lines of the fields in :data:`REPEATED` are remembered: they hold
no secrets and have few different values. Cookies, credentials, tokens, addresses of clients and
fields that are not listed are read each time and never kept.
"""
from __future__ import annotations

import re
from typing import Any

from gworkers.http1.fields import environ_key

#: A field name (RFC 9110 section 5.1) without an underscore. An underscore and a hyphen give the same key
#: in an environ, so Gunicorn's settings decide how to treat a name with an underscore.
_PLAIN = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]+")
#: The bytes of a field line (RFC 9110 section 5.5).
_LEGAL = bytes({*range(0x20, 0x100), *b"\t"} - {0x7F})

#: Fields whose lines are remembered.
REPEATED = """
    Accept Accept-Charset Accept-Encoding Accept-Language Access-Control-Request-Headers
    Access-Control-Request-Method Cache-Control CF-IPCountry CF-Visitor Connection Content-Encoding Content-Length
    Content-Type DNT Host Keep-Alive Origin Pragma Priority Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest
    Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Sec-WebSocket-Extensions Sec-WebSocket-Version TE Trailer
    Transfer-Encoding Upgrade Upgrade-Insecure-Requests User-Agent Via X-Forwarded-Host X-Forwarded-Port
    X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Protocol X-Forwarded-SSL X-Requested-With
    """.split()
#: Other common fields, of which only the names are remembered.
VARYING = """
    Authorization CF-Connecting-IP CF-Ray Cookie Date Expect Forwarded From If-Match
    If-Modified-Since If-None-Match If-Range If-Unmodified-Since Proxy-Authorization Range Referer
    Sec-WebSocket-Key Sec-WebSocket-Protocol Traceparent Tracestate X-Amzn-Trace-Id X-CSRFToken X-Client-IP
    X-Correlation-ID X-Forwarded-For X-Real-IP X-Request-ID
    """.split()

_REPEATED_KEYS = frozenset(map(environ_key, REPEATED))
_COMMON_KEYS = {spelling: environ_key(name) for name in REPEATED + VARYING
                for spelling in (name, name.lower(), name.title())}

#: Maximum number of lines that a worker remembers, and the maximum length of one. Together they take less than 1 MB.
LINES, LONGEST_LINE = 1024, 256
#: Maximum number of names that a worker remembers, the common ones included, and the maximum length of one.
NAMES, LONGEST_NAME = 1024, 64


class FieldLines:
    """Maps the field lines of request heads to items of an environ.

    A line is decoded from Latin-1 and has no CRLF.

    :param limit: the number of characters that a line may have
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys = dict(_COMMON_KEYS)
        #: the lines that are remembered, with their items; always the same dict
        self.known: dict[str, tuple[str, str]] = {}

    def complete(self, items: list[Any], lines: list[str]) -> bool:
        """Put the missing items of *lines* in their places.

        :param items: the items of *lines*, None for each line that is not known
        :returns: whether all lines are certain to be valid
        """
        known, keys = self.known, self._keys
        new = [line for line, item in zip(lines, items) if item is None]
        text = "".join(new)
        if (text.encode("latin-1").translate(None, _LEGAL)
                or (len(text) > self._limit and max(map(len, new)) > self._limit)):
            return False
        index = -1
        for line in new:
            name, colon, value = line.partition(":")
            key = keys.get(name) or self._learn(name)
            if not key or not colon:
                return False
            index = items.index(None, index + 1)
            items[index] = item = key, value.strip(" \t")
            # By now the line is valid, whatever the lines after it are.
            if key in _REPEATED_KEYS and len(line) <= LONGEST_LINE:
                if len(known) >= LINES:
                    # Otherwise lines that come once would keep out lines that come again.
                    known.clear()
                known[line] = item
        return True

    def _learn(self, name: str) -> str:
        """Return the key for a *name* that is not known yet, an empty string if it is not plain."""
        if not _PLAIN.fullmatch(name):
            return ""
        key = environ_key(name)
        if len(name) <= LONGEST_NAME:
            if len(self._keys) >= NAMES:
                self._keys.clear()
                self._keys.update(_COMMON_KEYS)
            self._keys[name] = key
        return key
