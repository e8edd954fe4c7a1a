"""A response: the head and the body from the application, framed for the client."""
from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable

from gworkers.http1.discarding_connection import DISCARD
from gworkers.http1.file_section import rest_of
from gworkers.http1.response_head import FIELDS, STATUSES, connection_options, field_line, interim_lines, status_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Union

    from gunicorn.http.wsgi import FileWrapper

    from gworkers.http1.client_connection import ResponseConnection
    from gworkers.http1.request import Request
    from gworkers.http1.response_context import ResponseContext

    ExcInfo = Union[tuple[type[BaseException], BaseException, TracebackType | None], tuple[None, None, None]]

#: The size in bytes above which copying head and body into one object costs more than passing two to the kernel.
JOIN_LIMIT = 32 * 1024


NO_ENVIRON: Mapping[str, Any] = MappingProxyType({})


class Response:
    """The response to one request.

    It has the public attributes of Gunicorn's own response, because server hooks and loggers read them.
    """

    #: the status from the application, such as ``200 OK``; None until it calls ``start_response``
    status: str | None = None
    status_code: int = 0
    #: whether the head has been sent, or left to the connection to be sent
    headers_sent: bool = False
    #: the value of ``Content-Length``, if there is one
    response_length: int | None = None
    #: whether the body is sent in chunks
    chunked: bool = False
    #: whether the head has been sent, and the client expects another chunk
    expects_chunk: bool = False
    #: bytes of the body that have been sent, without their framing
    sent: int = 0
    #: whether the connection ends with this response for a reason that is not in the request
    must_close: bool = False
    #: whether the head says that the connection ends with this response; valid once the head is sent
    closes: bool = True
    #: whether this kind of response has no body
    _omits_body: bool = False
    #: whether the application agrees to change the protocol
    _upgrade: bool = False
    #: whether it was logged that the body is too long
    _warned_of_excess: bool = False
    #: whether the request is over: nothing more may be sent, because the connection serves another request now
    ended: bool = False
    #: functions without arguments that are called in the request's greenlet after the response; None for none
    callbacks: list[Callable[[], object]] | None = None
    #: when a greenlet began to serve the request, as ``time.monotonic()``
    started: float = 0.0
    #: seconds for which the request's greenlet has run; set at the end; None if this is not measured
    hub_time: float | None = None
    #: the environ of the request; empty before it is made, and after the request
    environ: Mapping[str, Any] = NO_ENVIRON
    #: the lines of the head for :attr:`headers`
    _lines: list[bytes]

    def __init__(self, connection: ResponseConnection, request: Request, context: ResponseContext) -> None:
        self._connection = connection
        self._request = request
        self._context = context
        #: the header fields from the application, without those that are hop-by-hop
        self.headers: list[tuple[str, str]] = []

    @property
    def req(self) -> Request:
        """The request, under the name that hooks use."""
        return self._request

    @property
    def cfg(self) -> Any:
        """Gunicorn's configuration."""
        return self._context.cfg

    @property
    def sock(self) -> Any:
        """The value of ``environ["gunicorn.socket"]``."""
        return self._connection.offer

    @property
    def upgrade(self) -> bool:
        """Whether the connection continues with another protocol."""
        return self._upgrade

    def force_close(self) -> None:
        """Close the connection after this response."""
        self.must_close = True

    def should_close(self) -> bool:
        """Whether the connection ends with this response (RFC 9112 section 9.3)."""
        if self.must_close or self._request.must_close or not self._request.keepalive:
            return True
        if not self._context.keepalive:
            return True
        return self.response_length is None and not self.chunked and not self._omits_body

    @property
    def truncated(self) -> bool:
        """Whether fewer bytes were sent than ``Content-Length`` says."""
        return self.response_length is not None and self.sent < self.response_length and not self._omits_body

    def start_response(self, status: str, headers: Iterable[tuple[str, str]],
                       exc_info: ExcInfo | None = None) -> Callable[[bytes], None]:
        """Set status and header fields: the ``start_response`` of PEP 3333.

        :returns: the ``write`` callable
        :raises TypeError: if the status, a name or a value is not a ``str``
        :raises ValueError: if one of them has characters that would change the meaning of the head
        :raises AssertionError: on a second call without *exc_info*
        """
        if exc_info is not None:
            try:
                if self.headers_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise AssertionError("start_response was called twice without exc_info")
        code = STATUSES.get(status) or status_code(status)
        self._set_headers(headers)
        self.status = status
        self.status_code = code
        if code < 200 or code == 204 or code == 304 or self._request.method == "HEAD":
            self._omits_body = True
            if (code == 204 or code < 200) and self.response_length is not None:
                # Not allowed with these statuses (RFC 9110 section 8.6).
                self.headers = [field for field in self.headers if field[0].lower() != "content-length"]
                self._lines = [field_line(field)[0] for field in self.headers]
                self.response_length = None
        else:
            self._omits_body = False
        return self.write

    def _set_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        kept = []
        lines = []
        length = None
        upgrade = close = False
        for field in headers:
            line, field_length = (FIELDS.get(field) if type(field) is tuple else None) or field_line(field)
            if not line:
                options = connection_options(field)
                upgrade = upgrade or options == ["upgrade"]
                close = close or "close" in options
                continue
            if field_length is not None:
                if length is not None and length != field_length:
                    raise ValueError("two different Content-Length fields in the response")
                length = field_length
            kept.append(field)
            lines.append(line)
        # Assigned when all fields are valid, because an application may catch the error and call start_response again.
        self.headers = kept
        self._lines = lines
        self.response_length = length
        self._upgrade = upgrade
        self.must_close = self.must_close or close

    @property
    def too_late(self) -> bool:
        """Whether no response can begin any more.

        One has begun, or the application may have sent bytes on the socket itself.
        """
        connection = self._connection
        return (self.headers_sent or connection.broken
                or (connection.descriptor_taken and "HTTP_UPGRADE" in self._request.fields))

    def _head(self) -> list[bytes]:
        """Return the parts of the head, and count it as sent."""
        if self._connection.last_request:
            if self.too_late:
                self._connection.break_off()
            self.must_close = True
        if self.status is None:
            raise AssertionError("the application sent a body before it called start_response")
        request = self._request
        if self.response_length is None and not self._omits_body and request.version >= (1, 1):
            self.chunked = True
        if request.length != 0:
            if request.expects_continue:
                # The client may send the body now or leave it out (RFC 9110 section 10.1.1), so its end is unknown.
                request.expects_continue = False
                self.must_close = True
            elif request.body.broken or self._connection.awaited:
                self.must_close = True
        self.closes = self.should_close() or self.status_code == 101
        connection = "upgrade" if self._upgrade else "close" if self.closes else "keep-alive"
        self.headers_sent = True
        head = [self._context.heads.start(self.status, connection, request.version), *self._lines, b"\r\n"]
        if self.chunked:
            self.expects_chunk = True
            head.insert(1, b"Transfer-Encoding: chunked\r\n")
        return head

    def write(self, data: bytes) -> None:
        """Send *data* as the next part of the body, after the head if it is the first part.

        :raises TypeError: if *data* is not ``bytes``
        :raises RuntimeError: if the request is over
        """
        if not isinstance(data, bytes):
            raise TypeError(f"the body must be bytes, not {type(data).__name__}")
        if self.ended:
            raise RuntimeError("the application wrote to a response after its request was over")
        if not data:
            return
        if self.headers_sent:
            self._write_part([], data)
            self._connection.yield_if_due()
        elif len(data) == self.response_length and len(data) <= JOIN_LIMIT and not self._omits_body:
            parts = self._head()
            parts.append(data)
            self.sent = len(data)
            self._connection.send_last(b"".join(parts))
        else:
            self._write_part(self._head(), data)

    def _write_part(self, parts: list[bytes], data: bytes) -> None:
        """Send *parts*, then *data* with its framing, without what exceeds ``Content-Length``."""
        if self._omits_body:
            self._context.warn_of_omitted_body(self._request, self.status_code)
            data = b""
        elif self.response_length is not None:
            room = self.response_length - self.sent
            if len(data) > room:
                if not self._warned_of_excess:
                    self._warned_of_excess = True
                    self._context.warn_of_excess(self._request)
                data = data[:room]
        if data:
            self.sent += len(data)
            if self.chunked:
                parts += (b"%x\r\n" % len(data), data, b"\r\n")
            else:
                parts.append(data)
        if len(data) > JOIN_LIMIT:
            self._connection.send_parts(parts)
        elif parts:
            self._connection.send(b"".join(parts))

    def write_whole(self, data: bytes) -> None:
        """Send *data* as the whole body. A ``Content-Length`` is added if the application gave none."""
        if self.response_length is None and isinstance(data, bytes):
            self._set_length(len(data))
        self.write(data)

    def _set_length(self, length: int) -> None:
        if self.response_length is None and not (self._omits_body or self.headers_sent or self.status is None):
            self.response_length = length
            self.headers.append(("Content-Length", str(length)))
            self._lines.append(b"Content-Length: %d\r\n" % length)

    def write_file(self, wrapper: FileWrapper) -> None:
        """Send the file of a ``wsgi.file_wrapper``. The kernel copies it if possible.

        :raises OSError: if the file cannot be read
        """
        begins = not self.headers_sent and self.status is not None
        section = rest_of(wrapper.filelike) if begins and self._connection.can_send_files else None
        if section is None:
            self._write_parts(wrapper)
            return
        fd, offset, count = section
        if self.response_length is not None:
            count = min(count, self.response_length)
        self._set_length(count)
        head = b"".join(self._head())
        if self._omits_body or not count:
            self._connection.send(head)
            return
        sent = self._connection.send_file(head, fd, offset, count)
        if sent is None:
            self._write_parts(wrapper)
        else:
            self.sent += sent

    def _write_parts(self, wrapper: FileWrapper) -> None:
        for data in wrapper:
            self.write(data)

    def finish(self) -> None:
        """Send what is missing: a head without a body, or the end of a chunked body."""
        if not self.headers_sent:
            self._set_length(0)
            self._connection.send_last(b"".join(self._head()))
        elif self.chunked:
            self.expects_chunk = False
            self._connection.send_last(b"0\r\n\r\n")

    def call_after(self, callback: Callable[[], object]) -> None:
        """Call *callback* in the greenlet of the request, after the response was sent and the request was logged."""
        if self.callbacks is None:
            self.callbacks = []
        self.callbacks.append(callback)

    def discard_output(self) -> None:
        """Discard everything that the application still sends. The client has got another response, or a reset."""
        self._connection = DISCARD
        if not self.headers_sent:
            # The status is that of the other response, so the application may still call start_response. If it has
            # done so before, it may write at once.
            self.status = None
            self.headers_sent = True

    def early_hints(self, headers: Iterable[tuple[str, str]]) -> None:
        """Send a 103 response with *headers* (RFC 8297), unless the client uses HTTP/1.0 or the response has begun."""
        if self.headers_sent or self.ended or self._request.version < (1, 1):
            return
        fields = []
        for name, value in headers:
            name = name.decode("latin-1") if isinstance(name, bytes) else name
            value = value.decode("latin-1") if isinstance(value, bytes) else value
            fields.append((name, value))
        self._connection.send(b"HTTP/1.1 103 Early Hints\r\n%s\r\n" % interim_lines(fields))
