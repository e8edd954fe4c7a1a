"""The head of a response: what an application may say in it, and the lines that say it."""
from __future__ import annotations

import re
from email.utils import formatdate
from time import time

#: RFC 9112 section 4, and PEP 3333: one space before the reason.
_STATUS = re.compile(r"[0-9]{3}(?: [ \t\x21-\x7e\x80-\xff]*)?")
#: RFC 9110 sections 5.1 and 5.5
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[ \t\x21-\x7e\x80-\xff]*")

#: Fields that are the server's to send, not the application's; Gunicorn leaves them out in silence.
HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
                        "transfer-encoding", "upgrade", "server", "date"))

#: How many header fields and statuses are remembered, and how long their values may be.
REMEMBERED, LONGEST = 1024, 256

#: Header fields and statuses that have been checked: most responses have the same ones. Cookies are secrets, and vary.
FIELDS: dict[tuple[str, str], tuple[bytes, int | None]] = {}
STATUSES: dict[str, int] = {}


class ResponseHeads:
    """The beginnings of response heads: status line and the server's own fields, made once a second."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._until = 0
        self._heads: dict[tuple[str, str, tuple[int, int]], bytes] = {}

    def start(self, status: str, connection: str, version: tuple[int, int]) -> bytes:
        """Return the head up to and with its ``Connection`` field, each line ended."""
        now = time()
        if not self._until - 1 <= now < self._until:
            # The clock may have been put back, too.
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
    """Return the status code that *status* begins with.

    A code above 599 is allowed: a client treats it as 500 (RFC 9110 section 15).

    :raises TypeError: if it is not a ``str``
    :raises ValueError: if it is malformed, or not the status of a final response
    """
    if not isinstance(status, str):
        raise TypeError(f"the status must be a str, not {status!r}")
    if not _STATUS.fullmatch(status):
        raise ValueError(f"invalid status {status!r}: three digits, a space and a reason are allowed")
    code = int(status[:3])
    if code < 200 and code != 101:
        # 101 ends HTTP on its connection. After any other 1xx the client waits for a final response
        # (RFC 9110 section 15.2), and would take the one to its next request for it.
        raise ValueError(f"invalid status {status!r}: the response to a request has a status of 200 or more, or 101; "
                         "environ['wsgi.early_hints'] sends a 103 before it")
    if len(STATUSES) < REMEMBERED:
        STATUSES[status] = code
    return code


def field_line(field: tuple[str, str]) -> tuple[bytes, int | None]:
    """Return the line for *field*, empty if it is the server's to send, and the ``Content-Length`` that it gives.

    :raises TypeError: if name or value is not a ``str``
    :raises ValueError: if one of them could not be sent without changing the meaning of the head
    """
    name, value = field
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header names and values must be str, which {name!r} or its value is not")
    if not _NAME.fullmatch(name):
        raise ValueError(f"invalid response header name {name!r}")
    if not _VALUE.fullmatch(value):
        # The value may be a secret, and the log is read by many.
        raise ValueError(f"the value of the response header {name!r} has characters that no header may have")
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
    if len(value) <= LONGEST and lower != "set-cookie":
        if len(FIELDS) >= REMEMBERED:
            # Values that come but once must not keep out those that come again.
            FIELDS.clear()
        FIELDS[(name, value)] = line, length
    return line, length


def is_upgrade(field: tuple[str, str]) -> bool:
    """Whether *field* says that the connection goes on with another protocol (RFC 9110 section 7.8)."""
    name, value = field
    return name.lower() == "connection" and value.strip(" \t").lower() == "upgrade"
