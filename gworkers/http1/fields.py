"""Header fields under the names that they have in an environ."""
from __future__ import annotations

from typing import Iterable, Sequence

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

#: How many further names a worker remembers, and how long they may be.
REMEMBERED, LONGEST = 1024, 64


class FieldNames:
    """Maps the names of header fields, as bytes, to the keys of an environ."""

    def __init__(self) -> None:
        self._keys = {spelling.encode(): environ_key(name)
                      for name in COMMON for spelling in (name, name.lower(), name.title())}

    def fields(self, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str] | None:
        """Return *headers* as a dict, or None if a name is repeated or has an underscore."""
        keys = self._keys
        try:
            fields = {keys[name]: value.decode("latin-1") for name, value in headers}
        except KeyError:
            learnt = self._learn(name for name, _ in headers)
            if learnt is None:
                return None
            fields = {learnt[name]: value.decode("latin-1") for name, value in headers}
        return fields if len(fields) == len(headers) else None

    def _learn(self, names: Iterable[bytes]) -> dict[bytes, str] | None:
        learnt = {}
        for name in names:
            # An underscore and a hyphen are the same in an environ: whose word counts is for Gunicorn to say.
            if b"_" in name:
                return None
            key = self._keys.get(name)
            if key is None:
                key = environ_key(name.decode("latin-1"))
                if len(self._keys) < REMEMBERED and len(name) <= LONGEST:
                    self._keys[name] = key
            learnt[name] = key
        return learnt


def environ_key(name: str) -> str:
    """Return the key of the header field *name* in an environ (PEP 3333, RFC 3875 section 4.1.18)."""
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


def environ_fields(headers: Sequence[tuple[str, str]]) -> tuple[dict[str, str], str | None]:
    """Return *headers*, as Gunicorn's parser let them pass, as a dict, and the ``SCRIPT_NAME`` among them.

    Values of a repeated field are joined with a comma (RFC 9110 section 5.3). Only a field that is
    literally called ``SCRIPT_NAME``, which Gunicorn accepts from trusted proxies, names the script.
    """
    fields: dict[str, str] = {}
    script_name = None
    for name, value in headers:
        if name == "SCRIPT_NAME":
            script_name = value
        key = environ_key(name)
        fields[key] = f"{fields[key]},{value}" if key in fields else value
    return fields, script_name
