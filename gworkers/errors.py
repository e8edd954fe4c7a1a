"""The exceptions of gworkers.

::

    GworkersError
    +-- StartError (RuntimeError)              a worker cannot start like that; carries the finding that says why
        +-- SettingsError                          a setting that cannot be used
        +-- RequirementError                       the runtime lacks what a worker needs
    +-- ClientError (OSError)                  the peer is at fault: raised by wsgi.input and write()
        +-- ClientDisconnected (ConnectionError)   it has gone, or its body ended too early
        +-- ClientTimeout (TimeoutError)           it made no progress within a deadline
        +-- Refusal                                it sent what must be refused; carries the HTTP status

``ClientError`` is an ``OSError`` because that is what applications and frameworks expect of a
failing ``wsgi.input`` (Werkzeug answers 400 to it, for instance).
"""
from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gworkers.findings import Finding


class GworkersError(Exception):
    """Base of everything that gworkers raises on purpose."""


class StartError(GworkersError, RuntimeError):
    """A worker cannot start like that; its cause is somebody's exception, if there is more to see in that.

    A ``RuntimeError``, because Gunicorn prints those at start as one line without a traceback.

    :param finding: what is wrong, why it matters, what to do
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


class SettingsError(StartError):
    """A setting is unknown or has a value that cannot be used."""


class RequirementError(StartError):
    """The runtime lacks something that a worker cannot do without."""


class ClientError(GworkersError, OSError):
    """The peer of a connection is at fault, not the application."""


class ClientDisconnected(ClientError, ConnectionError):
    """The peer has gone, or ended its request body before it was complete (RFC 9112 section 8)."""


class ClientTimeout(ClientError, TimeoutError):
    """The peer made no progress within the deadline that applies (``body_timeout``, ``write_timeout``)."""


class Refusal(ClientError):
    """A request that must be refused.

    :param status: HTTP status code of the answer
    :param reason: its reason phrase
    :param message: what was wrong, for the log
    :param detail: what the answer's body says; the message if not given
    """

    def __init__(self, status: int, reason: str, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.detail = message if detail is None else detail

    def __str__(self) -> str:
        return self.message
