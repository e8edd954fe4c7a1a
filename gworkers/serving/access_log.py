"""Gunicorn's access log, written with less CPU time.

Gunicorn makes a dict of everything that a line could contain and passes it to :mod:`logging`. That costs
more than serving a short request. If only Gunicorn's own logger class and one plain handler are involved,
only the values in ``access_log_format`` are looked up, and the line is written to the handler's stream, which
never blocks. Other loggers and handlers may block, so the log queue calls them.
"""
from __future__ import annotations

import logging
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from time import strftime, time
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from gworkers.gunicorn_compat import optional, works
from gworkers.gunicorn_internals import Feature
from gworkers.logs.loss_counter import LossCounter
from gworkers.logs.stream import LogStream

if TYPE_CHECKING:
    from gworkers.http1.request import Request
    from gworkers.http1.response import Response
    from gworkers.logs.queue import LogQueue

SafeAtoms = optional("gunicorn.glogging:SafeAtoms", None)
_PLACEHOLDER = re.compile(r"%(?:\(([^)]*)\))?(.)", re.DOTALL)


class Exchange:
    """Request, response and duration of an exchange that is over."""

    __slots__ = ("duration", "environ", "request", "response")

    def __init__(self, response: Response, request: Request, environ: Mapping[str, Any], duration: timedelta) -> None:
        self.response = response
        self.request = request
        self.environ = environ
        self.duration = duration


Atom = Callable[[Any, Exchange], Any]


def _microseconds(exchange: Exchange) -> int:
    return exchange.duration.seconds * 1000000 + exchange.duration.microseconds


#: The placeholders of Gunicorn's setting access_log_format: functions of the logger and the exchange.
ATOMS: dict[str, Atom] = {
    "h": lambda log, exchange: exchange.environ.get("REMOTE_ADDR", "-"),
    "l": lambda log, exchange: "-",
    "u": lambda log, exchange: (log._get_user(exchange.environ) if "HTTP_AUTHORIZATION" in exchange.environ
                                else None) or "-",
    "r": lambda log, exchange: "{REQUEST_METHOD} {RAW_URI} {SERVER_PROTOCOL}".format_map(exchange.environ),
    "s": lambda log, exchange: (exchange.response.status or "-").split(None, 1)[0],
    "m": lambda log, exchange: exchange.environ["REQUEST_METHOD"],
    "U": lambda log, exchange: exchange.environ["PATH_INFO"],
    "q": lambda log, exchange: exchange.environ["QUERY_STRING"],
    "H": lambda log, exchange: exchange.environ["SERVER_PROTOCOL"],
    "b": lambda log, exchange: str(exchange.response.sent),
    "B": lambda log, exchange: exchange.response.sent,
    "f": lambda log, exchange: exchange.environ.get("HTTP_REFERER", "-"),
    "a": lambda log, exchange: exchange.environ.get("HTTP_USER_AGENT", "-"),
    "T": lambda log, exchange: exchange.duration.seconds,
    "D": lambda log, exchange: _microseconds(exchange),
    "M": lambda log, exchange: _microseconds(exchange) // 1000,
    "L": lambda log, exchange: f"{exchange.duration.seconds}.{exchange.duration.microseconds:06}",
    "p": lambda log, exchange: f"<{os.getpid()}>",
}


def _named(pairs: Callable[[Exchange], Any], name: str, log: Any, exchange: Exchange) -> Any:
    """Return the value of the last of *pairs* with *name*, which is compared without regard to case."""
    found = "-"
    for key, value in pairs(exchange):
        if key.lower() == name:
            found = value
    return found


#: The sources of ``{name}i``, ``{name}o`` and ``{name}e``.
SOURCES: dict[str, Callable[[Exchange], Any]] = {
    "i": lambda exchange: exchange.request.headers,
    "o": lambda exchange: exchange.response.headers,
    "e": lambda exchange: exchange.environ.items(),
}


class AccessLog(ABC):
    """Writes a line for each request.

    :param logger: the logger of Gunicorn, of any class
    :param queue: the log queue, which calls the logger if that may block
    """

    def __init__(self, logger: Any, queue: LogQueue) -> None:
        self._log = logger
        self._queue = queue
        self._lost = LossCounter()
        self._handler = plain_handler(logger)
        report_errors(logger.access_log, self._report)

    def record(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> None:
        """Write the line of a request that took *seconds*. Never raises and never waits."""
        handler = self._handler
        access = self._log.access_log
        if handler is None or access.disabled or len(access.handlers) != 1 or access.handlers[0] is not handler:
            self._pass_on(response, request, environ, seconds)
            return
        try:
            line = self._line(response, request, environ, seconds)
            # Without the lock of the handler, which a thread may hold. It is not needed for a single write.
            handler.stream.write(f"{line}\n")
        except OSError as error:
            self._report(error)
        except Exception:
            # Most likely the format is invalid, which Gunicorn reports in its own way.
            self._pass_on(response, request, environ, seconds)

    @abstractmethod
    def _line(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> str:
        """Return the line of a request, without its end."""

    def _pass_on(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> None:
        """Let the logger write the line, in the greenlet of the log queue."""
        self._queue.enqueue(self._log.access, response, request, environ, timedelta(seconds=seconds))

    def _report(self, error: BaseException) -> None:
        """Report at intervals that lines cannot be written. The report contains no data of requests."""
        self._lost.add()
        lost = self._lost.take_if_due()
        if lost:
            self._queue.error("The access log cannot be written (%s: %s). Lines lost since the last report: %s. "
                              "Check the disk or the reader of the log.", type(error).__name__, error, lost)


class FormattedAccessLog(AccessLog):
    """Writes lines as in ``access_log_format``.

    :param line_format: the value of that setting
    """

    def __init__(self, logger: Any, queue: LogQueue, line_format: str) -> None:
        super().__init__(logger, queue)
        self._format = line_format
        self._second = 0
        self._now = ""
        self._atoms = self._compile(line_format) if self._handler is not None else {}

    def _line(self, response: Response, request: Request, environ: Mapping[str, Any], seconds: float) -> str:
        exchange = Exchange(response, request, environ, timedelta(seconds=seconds))
        log = self._log
        line: str = self._format % SafeAtoms({name: atom(log, exchange) for name, atom in self._atoms.items()})
        return line

    def _compile(self, line_format: str) -> dict[str, Atom]:
        names = {name for name, kind in _PLACEHOLDER.findall(line_format) if kind != "%"}
        atoms: dict[str, Atom] = {}
        for name in names:
            source = SOURCES.get(name[-1:]) if name.startswith("{") and name[-2:-1] == "}" else None
            if source is not None:
                atoms[name.lower()] = partial(_named, source, name[1:-2].lower())
            elif name == "t":
                atoms[name] = self._time
            elif name in ATOMS:
                atoms[name] = ATOMS[name]
        return atoms

    def _time(self, log: Any, exchange: Exchange) -> str:
        second = int(time())
        if second != self._second:
            self._second = second
            self._now = strftime("[%d/%b/%Y:%H:%M:%S %z]")
        return self._now


def plain_handler(log: Any) -> logging.StreamHandler[Any] | None:
    """Return the handler of the access log if it is the only one and only writes lines, else None."""
    if not works(Feature.FAST_ACCESS_LOG):
        return None
    kind = type(log)
    access = log.access_log
    if (kind.access is not Logger.access or kind.atoms is not Logger.atoms or kind.now is not Logger.now
            or kind._get_user is not Logger._get_user or kind.atoms_wrapper_class is not SafeAtoms):
        return None
    if len(access.handlers) != 1 or access.filters or access.propagate or not access.isEnabledFor(logging.INFO):
        return None
    handler = access.handlers[0]
    formatter = handler.formatter
    if (type(handler) in (logging.StreamHandler, logging.FileHandler) and handler.level <= logging.INFO
            and not handler.filters and handler.terminator == "\n" and isinstance(handler.stream, LogStream)
            and type(formatter) is logging.Formatter and formatter._fmt == "%(message)s"):
        return handler  # type: ignore[no-any-return]
    return None


def report_errors(access_log: logging.Logger, report: Callable[[BaseException], None]) -> None:
    """Let the handlers of *access_log* call *report* when they fail.

    By default :mod:`logging` prints the arguments of the record to stderr: the whole request, with its cookies.
    """
    logger: logging.Logger | None = access_log
    while logger is not None:
        for handler in logger.handlers:
            if "handleError" not in vars(handler) and type(handler).handleError is logging.Handler.handleError:
                handler.handleError = partial(  # type: ignore[method-assign]
                    _handle_error, handler.handleError, access_log.name, report)
        logger = logger.parent if logger.propagate else None


def _handle_error(default: Callable[[logging.LogRecord], None], name: str, report: Callable[[BaseException], None],
                  record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if record.name == name and error is not None:
        report(error)
    else:
        default(record)


def wanted(cfg: Any, log: Any) -> bool:
    """Whether requests are logged: an access log is configured, or the logger class overrides ``access()``."""
    if not works(Feature.ACCESS_LOG):
        return False
    if type(log).access is not Logger.access:
        return True
    return bool(cfg.accesslog or cfg.logconfig or cfg.logconfig_dict or getattr(cfg, "logconfig_json", None)
                or (cfg.syslog and not cfg.disable_redirect_access_to_syslog))
