"""The exceptions of gworkers.

::

    GworkersError
    +-- StartError (RuntimeError)              a worker cannot start; carries the finding with the reason
        +-- SettingsError                          a setting is unknown or has an invalid value
        +-- RequirementError                       the runtime does not meet the requirements of a worker
    +-- SendError (RuntimeError)               background.send() could not send a signal
    +-- ClientError (OSError)                  an error of the peer: raised by wsgi.input and write()
        +-- ClientDisconnected (ConnectionError)   the peer closed the connection or ended its body too early
        +-- ClientTimeout (TimeoutError)           the peer made no progress within a deadline
        +-- Refusal                                the request must be refused; carries the HTTP status

    RequestInterrupted (BaseException)         raised in a request where it waits, if the configuration asks for it
    +-- RequestTimeout                         the request has taken longer than it may
    +-- ClientGone                             the client has left

``ClientError`` is an ``OSError`` because applications and frameworks expect that type from a failing
``wsgi.input``. Werkzeug, for instance, answers it with 400.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.findings import Finding


class GworkersError(Exception):
    """Base class of all exceptions that gworkers raises."""


class RequestInterrupted(BaseException):
    """The request is to end. It is no ``Exception``, so that ``except Exception`` does not catch it."""


class RequestTimeout(RequestInterrupted):
    """The request has taken longer than ``request_timeout``, or than the limit it has set itself."""


class ClientGone(RequestInterrupted):
    """The client has left, so the response cannot be delivered."""


class StartError(GworkersError, RuntimeError):
    """A worker cannot start. ``__cause__`` is the exception behind it, if its traceback is useful.

    It is a ``RuntimeError`` because Gunicorn prints a ``RuntimeError`` at start as one line without a traceback.

    :param finding: the problem, its impact and the fix
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class SettingsError(StartError):
    """A setting is unknown or has an invalid value."""


class RequirementError(StartError):
    """The runtime does not meet the requirements of a worker."""


class SendError(GworkersError, RuntimeError):
    """A signal could not be sent: there is no room for its message, or no worker has accepted it."""


class ClientError(GworkersError, OSError):
    """An error of the peer of a connection, not of the application."""


class ClientDisconnected(ClientError, ConnectionError):
    """The peer closed the connection, or ended its request body early (RFC 9112 section 8)."""


class ClientTimeout(ClientError, TimeoutError):
    """The peer made no progress within the deadline that applies (``body_timeout``, ``write_timeout``)."""


class Refusal(ClientError):
    """A request that must be refused.

    :param status: HTTP status code of the response
    :param reason: reason phrase of the response
    :param message: the problem, for the log
    :param detail: the text of the response body; by default the message
    """

    def __init__(self, status: int, reason: str, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.detail = message if detail is None else detail

    def __str__(self) -> str:
        return self.message
