"""What all responses of a worker have in common."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gworkers.http1.request import Request
    from gworkers.http1.response_head import ResponseHeads
    from gworkers.logs.queue import LogQueue


class ResponseContext:
    """Configuration, heads and warnings of all responses of a worker.

    :param cfg: Gunicorn's configuration
    :param heads: provides the beginnings of response heads
    :param log: where to report errors of the application
    """

    def __init__(self, cfg: Any, heads: ResponseHeads, log: LogQueue) -> None:
        self.cfg = cfg
        self.heads = heads
        #: whether a connection may serve another request after a response; false in a drain
        self.keepalive = bool(cfg.keepalive)
        self._log = log
        #: the kinds of responses for which it was logged that a body was left out
        self._omitted: set[str] = set()

    def warn_of_omitted_body(self, request: Request, status_code: int) -> None:
        """Log that the body of a response was left out.

        It is logged once for each kind of response, because an application that sends such a body does it each time.
        """
        kind = "in response to HEAD" if request.method == "HEAD" else f"with status {status_code}"
        if kind not in self._omitted:
            self._omitted.add(kind)
            self._log.warning("The application sent a body %s (%s %s). Such a response has no body, so it was left "
                              "out. This is logged once per worker.", kind, request.method, request.uri)

    def warn_of_excess(self, request: Request) -> None:
        """Log that a body is longer than its ``Content-Length``."""
        self._log.warning("The application sent more bytes than its Content-Length says (%s %s). The excess was left "
                          "out: the client got an incomplete body.", request.method, request.uri)

    def warn_of_truncation(self, request: Request, sent: int, length: int | None) -> None:
        """Log that a body is shorter than its ``Content-Length``."""
        self._log.warning("The response to %s %s ended after %s of the %s bytes that its Content-Length says. The "
                          "connection is closed, so that the client can tell.",
                          request.method, request.uri, sent, length)
