"""The head of a response: which statuses and header fields are allowed, and the lines that they become."""
from __future__ import annotations

import re
from email.utils import formatdate
from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: RFC 9112 section 4, and PEP 3333: one space before the reason.
_STATUS = re.compile(r"[0-9]{3}(?: [ \t\x21-\x7e\x80-\xff]*)?")
#: RFC 9110 sections 5.1 and 5.5
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

#: Fields that only the server may send. Those of an application are left out without an error, as in Gunicorn.
HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
                        "transfer-encoding", "upgrade", "server", "date"))

#: The number of entries in each cache, and the length of a field value above which it is not cached.
CACHE_SIZE, CACHED_LENGTH = 1024, 256

#: Caches of the header fields and statuses that were valid: most responses have the same ones.
#: ``Set-Cookie`` is not cached, because its values are secrets and rarely repeat.
FIELDS: dict[tuple[str, str], tuple[bytes, int | None]] = {}
STATUSES: dict[str, int] = {}


class ResponseHeads:
    """The beginnings of response heads: the status line and the fields of the server.

    They are cached for a second, because of their ``Date``.

    :param server: the value of ``Server``
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._until = 0
        self._heads: dict[tuple[str, str, tuple[int, int]], bytes] = {}

    def start(self, status: str, connection: str, version: tuple[int, int]) -> bytes:
        """Return the lines of a head up to and including ``Connection``."""
        now = time()
        if not self._until - 1 <= now < self._until:
            # The system clock may also go back.
            self._until = int(now) + 1
            self._heads.clear()
        key = (status, connection, version)
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = (
                f"HTTP/{version[0]}.{version[1]} {status}\r\nServer: {self._server}\r\n"
                f"Date: {formatdate(self._until - 1, usegmt=True)}\r\nConnection: {connection}\r\n").encode("latin-1")
        return head


def status_code(status: str) -> int:
    """Return the status code at the start of *status*.

    A code above 599 is allowed. A client treats it as 500 (RFC 9110 section 15).

    :raises TypeError: if *status* is not a ``str``
    :raises ValueError: if *status* is malformed, or not that of a final response
    """
    if not isinstance(status, str):
        raise TypeError(f"the status must be a str, not {status!r}")
    if not _STATUS.fullmatch(status):
        raise ValueError(f"invalid status {status!r}: three digits, a space and a reason are allowed")
    code = int(status[:3])
    if code < 200 and code != 101:
        # 101 ends HTTP on the connection. After any other 1xx the client waits for a final response
        # (RFC 9110 section 15.2): it would take the response to its next request for this one.
        raise ValueError(f"invalid status {status!r}: the response to a request has a status of 200 or more, or 101; "
                         "environ['wsgi.early_hints'] sends a 103 before it")
    if len(STATUSES) < CACHE_SIZE:
        STATUSES[status] = code
    return code


def field_line(field: tuple[str, str]) -> tuple[bytes, int | None]:
    """Check a header field of the application.

    :returns: its line in the head, empty if only the server may send it; its value if it is ``Content-Length``
    :raises TypeError: if name or value is not a ``str``
    :raises ValueError: if one of them has characters that would change the meaning of the head
    """
    name, value = field
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"the name or the value of the response header {name!r} is not a str")
    if not _NAME.fullmatch(name):
        raise ValueError(f"invalid response header name {name!r}")
    if not _VALUE.fullmatch(value):
        # The value is not logged, because it may be a secret.
        raise ValueError(f"the value of the response header {name!r} has characters that are not allowed in headers")
    stripped = value.strip(" \t")
    lower = name.lower()
    line = f"{name}: {stripped}\r\n".encode("latin-1")
    length = None
    if lower == "content-length":
        if not (stripped.isascii() and stripped.isdigit() and len(stripped) <= 18):
            raise ValueError(f"invalid Content-Length {stripped!r} in the response")
        length = int(stripped)
    elif lower in HOP_BY_HOP and not (lower == "upgrade" and stripped.lower() == "websocket"):
        line = b""
    if len(value) <= CACHED_LENGTH and lower != "set-cookie":
        if len(FIELDS) >= CACHE_SIZE:
            # Otherwise values that never repeat would fill the cache, and values that repeat would not get in.
            FIELDS.clear()
        FIELDS[(name, value)] = line, length
    return line, length


def interim_lines(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the lines of the header fields of a 1xx response, which has no ``Content-Length`` (RFC 9110 section 8.6).

    The exceptions are those of :func:`field_line`.
    """
    return b"".join(line for line, length in map(field_line, fields) if length is None)


def connection_options(field: tuple[str, str]) -> list[str]:
    """Return the options in a ``Connection`` field (RFC 9110 section 7.6.1), in lower case; none in other fields."""
    name, value = field
    return [option.strip(" \t") for option in value.lower().split(",")] if name.lower() == "connection" else []
