"""The states of a connection.

::

    accept --> HANDSHAKE (TLS only) --> IDLE: no greenlet, one watcher, one deadline
                                         |  ^
             a request head is complete  |  |  the response is sent, and the connection is kept alive
                                         v  |  (through QUEUED if the next request has arrived already)
                                        BUSY:  a request greenlet calls the application
                                         |
                                         v
                                        LINGERING (only where a reset could destroy the response)
                                         |
                                         v
                                        CLOSED
"""
from __future__ import annotations

from enum import Enum


class State(Enum):
    """What a connection is doing."""

    #: performing a TLS handshake
    HANDSHAKE = "handshake"
    #: waiting for a request head, or for the rest of one
    IDLE = "idle"
    #: waiting with a request that has arrived, until other connections had their turn
    QUEUED = "queued"
    #: serving a request, or sending its response
    BUSY = "busy"
    #: closed for sending; bytes from the client are discarded
    LINGERING = "lingering"
    CLOSED = "closed"


class AfterResponse(Enum):
    """What a connection does when its response has been sent."""

    KEEP_ALIVE = "keep alive"
    #: discard the bytes of the client: it still sends, and must get the response before a reset
    LINGER = "linger"
    #: wait until the client closes its side: it has the response and nothing more to send
    AWAIT_CLOSE = "await close"
    CLOSE = "close"


# Module-level names, because a member of an enum costs a second look-up for each request.
HANDSHAKE, IDLE, QUEUED, BUSY, LINGERING, CLOSED = State
KEEP_ALIVE, LINGER, AWAIT_CLOSE, CLOSE = AfterResponse
