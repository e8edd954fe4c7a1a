"""The states of a connection.

::

    accept --> HANDSHAKE (TLS only) --> IDLE: no greenlet, one watcher, one deadline
                                         |  ^
                  a head is complete     v  |   the response is sent, and the connection is kept alive
                                        BUSY    (through QUEUED, if the next request has arrived already)
                                         |
                                         |      a request greenlet reads, calls the application, writes
                                         v
                 LINGERING (only where a reset could destroy the response) --> CLOSED
"""
from __future__ import annotations

from enum import Enum


class State(Enum):
    """What a connection does."""

    #: a TLS handshake is under way
    HANDSHAKE = "handshake"
    #: it waits for a request head, or for the rest of one
    IDLE = "idle"
    #: the next request has arrived, and waits until other connections had their turn
    QUEUED = "queued"
    #: a request runs, or its response is being sent
    BUSY = "busy"
    #: everything is sent; what the client still sends is discarded
    LINGERING = "lingering"
    CLOSED = "closed"


class AfterResponse(Enum):
    """What a connection does when its response has been sent."""

    KEEP_ALIVE = "keep alive"
    #: discard what the client still sends
    LINGER = "linger"
    #: wait until the client, which has nothing more to send, has closed its side
    AWAIT_CLOSE = "await close"
    CLOSE = "close"


# The name of a module costs one look-up where a member of an enum costs two.
HANDSHAKE, IDLE, QUEUED, BUSY, LINGERING, CLOSED = State
KEEP_ALIVE, LINGER, AWAIT_CLOSE, CLOSE = AfterResponse
