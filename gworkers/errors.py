"""The exceptions of gworkers.

::

    GworkersError
    +-- SettingsError (RuntimeError)           a setting that cannot be used; stops Gunicorn at start
    +-- RequirementError (RuntimeError)        the runtime lacks what a worker needs; likewise
    +-- ClientError (OSError)                  the peer is at fault: raised by wsgi.input and write()
        +-- ClientDisconnected (ConnectionError)   it has gone, or its body ended too early
        +-- ClientTimeout (TimeoutError)           it made no progress within a deadline
        +-- Refusal                                it sent what must be refused; carries the HTTP status

``ClientError`` is an ``OSError`` because that is what applications and frameworks expect of a
failing ``wsgi.input`` (Werkzeug answers 400 to it, for instance).
"""
from __future__ import annotations


class GworkersError(Exception):
    """Base of everything that gworkers raises on purpose."""


class SettingsError(GworkersError, RuntimeError):
    """A setting is unknown or has a value that cannot be used.

    A ``RuntimeError``, because Gunicorn prints those at start as one line without a traceback.
    """


class RequirementError(GworkersError, RuntimeError):
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
