"""A request whose head has been parsed."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Callable

from gworkers.http1.fields import environ_fields, header_name


class Request:
    """One request.

    It has the public attributes of Gunicorn's request, because server hooks and loggers read them.

    :param size: size of the head in bytes
    :param fields: the header fields under their names in an environ
    :param length: size of the body in bytes, or None if it is chunked
    """

    # Most requests have these values.
    fragment: str = ""
    script_name: str | None = None
    trailers: Sequence[tuple[str, str]] = ()
    proxy_protocol_info: Mapping[str, Any] | None = None
    expects_continue: bool = False
    must_close: bool = False
    body: Any = None
    #: Gunicorn's configuration; for hooks
    cfg: Any = None

    #: parses the trailer section of a chunked body
    parse_trailers: Callable[[bytes], Sequence[tuple[str, str]]]
    peer_addr: Any
    req_number: int

    def __init__(self, size: int, method: str, uri: str, path: str, query: str, version: tuple[int, int],
                 scheme: str, fields: dict[str, str], length: int | None, keepalive: bool) -> None:
        self.size = size
        self.method = method
        self.uri = uri
        self.path = path
        self.query = query
        self.version = version
        self.scheme = scheme
        self.fields = fields
        self.length = length
        self.keepalive = keepalive

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields in their order, with names in upper case. The list is built at the first access."""
        return [(header_name(key), value) for key, value in self.fields.items()]

    def adopt_headers(self) -> None:
        """Pass changes that a hook has made to :attr:`headers` on to the application."""
        if "headers" in self.__dict__:
            self.fields, self.script_name = environ_fields(self.headers)

    @property
    def remote_addr(self) -> Any:
        """The address of the peer, which may be a proxy."""
        return self.peer_addr

    def force_close(self) -> None:
        """Close the connection after this request."""
        self.must_close = True

    def should_close(self) -> bool:
        """Whether the connection ends with this request (RFC 9112 section 9.3)."""
        return self.must_close or not self.keepalive
