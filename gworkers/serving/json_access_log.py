"""The access log as JSON: one object a line."""
from __future__ import annotations

import logging
import os
import re
from contextvars import ContextVar
from datetime import timedelta
from json import JSONEncoder
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Any

from gworkers.serving.access_log import AccessLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gworkers.http1.request import Request
    from gworkers.http1.response import Response
    from gworkers.logs.queue import LogQueue

#: Return a text as a JSON string in ASCII. Control characters are escaped.
_quoted = JSONEncoder().encode

_IDS = r"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
#: https://www.w3.org/TR/trace-context/#traceparent-header. A version after 00 may add more.
_TRACEPARENT = re.compile(rf"00{_IDS}|(?!00|ff)[0-9a-f]{{2}}{_IDS}(?:-.*)?", re.DOTALL)
#: The length of what all versions of traceparent have in common.
_TRACEPARENT_LENGTH = 55

#: The line that replaces the one of ``access_log_format``.
_LINE: ContextVar[str] = ContextVar("gworkers.access_log_json")


class JsonAccessLog(AccessLog):
    """Writes a JSON object for each request.

    :param logger: the logger of Gunicorn, of any class
    :param queue: the log queue, which calls the logger if that may block
    """

    def __init__(self, logger: Any, queue: LogQueue) -> None:
        super().__init__(logger, queue)
        logger.access_log.addFilter(_replace_line)
        self._second = -1
        self._time = ""
        self._process = f'"pid":{os.getpid()}'
        number = os.environ.get("GWORKERS_NUMBER", "")
        if number.isascii() and number.isdigit():
            self._process += f',"worker":{int(number)}'

    def _line(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> str:
        fields = request.fields
        now = time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._time = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        parts = [
            f'{{"time":"{self._time}.{int(now * 1000) % 1000:03}Z"',
            f'"remote_addr":{text(environ.get("REMOTE_ADDR", ""))}',
            f'"method":{text(request.method)},"path":{text(request.path)},"query":{text(request.query)}',
            f'"protocol":"HTTP/{request.version[0]}.{request.version[1]}"',
            f'"status":{response.status_code},"response_bytes":{response.sent}']
        if request.length is not None:
            parts.append(f'"request_bytes":{request.length}')
        parts.append(f'"duration":{seconds:.6f}')
        if response.hub_time is not None:
            parts.append(f'"hub_time":{response.hub_time:.6f},"wait_time":{seconds - response.hub_time:.6f}')
        for name, key in (("host", "HTTP_HOST"), ("referer", "HTTP_REFERER"), ("user_agent", "HTTP_USER_AGENT")):
            if key in fields:
                parts.append(f'"{name}":{text(fields[key])}')
        if "HTTP_TRACEPARENT" in fields and _TRACEPARENT.fullmatch(fields["HTTP_TRACEPARENT"]):
            parts.append(f'"traceparent":"{fields["HTTP_TRACEPARENT"][:_TRACEPARENT_LENGTH]}"')
        parts.append(self._process)
        return ",".join(parts) + "}"

    def _pass_on(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> None:
        try:
            line = self._line(response, request, environ, seconds)
        except Exception as error:
            self._report(error)
        else:
            self._queue.enqueue(self._access, line, response, request, environ, timedelta(seconds=seconds))

    def _access(self, line: str, *args: Any) -> None:
        # The queue calls this in a context of its own.
        _LINE.set(line)
        self._log.access(*args)


def _replace_line(record: logging.LogRecord) -> bool:
    """Replace the message of a record that the logger's ``access()`` has made. A filter of the access log."""
    line = _LINE.get("")
    if line:
        record.msg, record.args = line, ()
    return True


def text(value: Any) -> str:
    """Return *value* as a JSON string.

    A native string of WSGI (PEP 3333) has one character for each byte. It is decoded as UTF-8 if it is valid UTF-8,
    and as Latin-1 otherwise.
    """
    value = str(value)
    if not value.isascii():
        try:
            value = value.encode("latin-1").decode()
        except UnicodeDecodeError:
            pass
        except UnicodeEncodeError:
            # The path of a Unix socket, or a value of the application.
            value = value.encode("utf-8", "backslashreplace").decode()
    return _quoted(value)
