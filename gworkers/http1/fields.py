"""Header fields under the names that they have in an environ."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: A field name (RFC 9110 section 5.1) without an underscore: as that and a hyphen are the same in an
#: environ, whose word counts is for Gunicorn's parser to say.
_PLAIN = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]+")

#: Names that nobody can displace from the cache by sending many others.
COMMON = """
    Accept Accept-Charset Accept-Encoding Accept-Language Access-Control-Request-Headers
    Access-Control-Request-Method Authorization Cache-Control CF-Connecting-IP CF-IPCountry CF-Ray CF-Visitor
    Connection Content-Encoding Content-Length Content-Type Cookie DNT Date Expect Forwarded From Host If-Match
    If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Origin Pragma Priority Proxy-Authorization
    Range Referer Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site
    Sec-Fetch-User Sec-GPC Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version
    TE Traceparent Tracestate Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests User-Agent Via
    X-Amzn-Trace-Id X-CSRFToken X-Client-IP X-Correlation-ID X-Forwarded-For X-Forwarded-Host X-Forwarded-Port
    X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Protocol X-Forwarded-SSL X-Real-IP X-Request-ID X-Requested-With
    """.split()

#: How many names a worker remembers, the common ones included, and how long the others may be.
REMEMBERED, LONGEST = 1024, 64


class FieldNames:
    """Maps the names of header fields, as bytes, to the keys of an environ."""

    def __init__(self) -> None:
        self._keys = {spelling.encode(): environ_key(name)
                      for name in COMMON for spelling in (name, name.lower(), name.title())}

    def fields(self, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str] | None:
        """Return *headers* as a dict, or None if a name is repeated, has an underscore or is none."""
        keys = self._keys
        fields = {}
        try:
            for name, value in headers:
                fields[keys[name]] = value.decode("latin-1")
        except KeyError:
            learnt = self._learn(name for name, _ in headers)
            if learnt is None:
                return None
            fields = {learnt[name]: value.decode("latin-1") for name, value in headers}
        return fields if len(fields) == len(headers) else None

    def _learn(self, names: Iterable[bytes]) -> dict[bytes, str] | None:
        learnt = {}
        for name in names:
            key = self._keys.get(name)
            if key is None:
                if not _PLAIN.fullmatch(name):
                    return None
                key = environ_key(name.decode("ascii"))
                if len(self._keys) < REMEMBERED and len(name) <= LONGEST:
                    self._keys[name] = key
            learnt[name] = key
        return learnt


def environ_key(name: str) -> str:
    """Return the key of the header field *name* in an environ (PEP 3333, RFC 3875 section 4.1.18).

    ``Content_Length``, which some settings of Gunicorn let pass, is not ``Content-Length``.
    """
    name = name.upper()
    if name in ("CONTENT-TYPE", "CONTENT-LENGTH"):
        return name.replace("-", "_")
    return "HTTP_" + name.replace("-", "_")


def environ_fields(headers: Sequence[tuple[str, str]]) -> tuple[dict[str, str], str | None]:
    """Return *headers*, as Gunicorn's parser let them pass, as a dict, and the ``SCRIPT_NAME`` among them.

    Values of a repeated field are joined with a comma (RFC 9110 section 5.3). Only a field that is
    literally called ``SCRIPT_NAME``, which Gunicorn accepts from trusted proxies, names the script.
    """
    values: dict[str, list[str]] = {}
    script_name = None
    for name, value in headers:
        if name == "SCRIPT_NAME":
            script_name = value
        values.setdefault(environ_key(name), []).append(value)
    return {key: ",".join(several) for key, several in values.items()}, script_name
