"""What all responses of a worker have in common."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.http1.request import Request
    from gworkers.http1.response_head import ResponseHeads
    from gworkers.logs.queue import LogQueue


class ResponseContext:
    """The configuration of the responses of a worker, and the log for what is wrong with them.

    :param cfg: Gunicorn's configuration
    :param heads: makes the beginnings of their heads
    :param log: where to report what the application does wrong
    """

    def __init__(self, cfg: Any, heads: ResponseHeads, log: LogQueue) -> None:
        self.cfg = cfg
        self.heads = heads
        #: whether a connection may serve another request after a response
        self.keepalive = bool(cfg.keepalive)
        self._log = log
        #: the kinds of responses that have no body, for which the application sent one: those that have been logged
        self._omitted: set[str] = set()

    def warn_of_omitted_body(self, request: Request, status_code: int) -> None:
        """Log that a body was left out, once per worker: an application that sends one does so each time."""
        kind = "in response to HEAD" if request.method == "HEAD" else f"with status {status_code}"
        if kind not in self._omitted:
            self._omitted.add(kind)
            self._log.warning("The application sent a body %s; it was left out (%s %s). This is logged once per "
                              "worker.", kind, request.method, request.uri)

    def warn_of_excess(self, request: Request) -> None:
        """Log that a body was longer than its ``Content-Length``: the client did not get all of it."""
        self._log.warning("The application sent more bytes than its Content-Length says (%s %s); they were cut off.",
                          request.method, request.uri)

    def warn_of_truncation(self, request: Request, sent: int, length: int | None) -> None:
        """Log that a body was shorter than its ``Content-Length``."""
        self._log.warning("The response to %s %s ended after %s of the %s bytes that its Content-Length says.",
                          request.method, request.uri, sent, length)
