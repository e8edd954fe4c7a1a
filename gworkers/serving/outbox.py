"""Responses are batched: they are sent together at the end of the hub's turn.

To wake up a waiting peer can cost as much as everything else in a short request. A proxy or client on
the same machine that is woken up once for several responses reads them all. So while requests are short
a response waits until the hub has called everything that was ready, at most :data:`MAX_WAIT` seconds.

No response should wait for a request that blocks the hub for long. After such a request responses are
sent at once, for :data:`UNBATCHED_FACTOR` times as long as it took.
"""
from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gworkers.hubs.base import Hub
from gworkers.hubs.guard import contain, hub_callback

if TYPE_CHECKING:
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.transport import Transport

#: The most seconds that a response waits for others.
MAX_WAIT = 0.001
#: If two responses of one turn are more than this many seconds apart, the request in between counts as long.
LONG_REQUEST = 0.001
#: After a long request, responses are sent at once for this many times its duration.
UNBATCHED_FACTOR = 20


class Outbox:
    """The connections of a worker whose response, or the end of it, is still to be sent.

    :param hub: the hub, which calls at the end of its turn
    :param log: where to report exceptions
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._waiting: list[Transport] = []
        self._scheduled = False
        #: the number of flushes so far
        self._flushes = 0
        #: when the first and the last of the waiting responses were added
        self._first_added = 0.0
        self._last_added = 0.0
        #: the time until which responses are sent at once
        self._unbatched_until = 0.0

    def add(self, connection: Transport) -> bool:
        """Add *connection*, whose response is to be flushed.

        :returns: false if the response must be sent at once instead
        """
        now = monotonic()
        if now < self._unbatched_until:
            return False
        if not self._waiting:
            self._first_added = now
            if not self._scheduled:
                self._hub.call_soon(self._end_turn)
                self._scheduled = True
        elif now - self._first_added > MAX_WAIT:
            self.flush_before_send()
            return False
        self._last_added = now
        self._waiting.append(connection)
        return True

    def flush_before_send(self) -> None:
        """Send the waiting responses before something else is sent at once."""
        if self._waiting:
            now = monotonic()
            if now - self._last_added > LONG_REQUEST:
                self._unbatched_until = now + UNBATCHED_FACTOR * (now - self._last_added)
            self.flush()

    def next_step(self) -> object:
        """Return the number of the next flush, or None if no response waits."""
        return self._flushes + 1 if self._waiting else None

    def recover(self) -> None:
        """Send the waiting responses at the end of the hub's next turn."""
        self._scheduled = False
        if self._waiting:
            self._hub.call_soon(self._end_turn)
            self._scheduled = True

    @hub_callback
    def _end_turn(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Send the waiting responses. If one fails the others are sent all the same."""
        self._flushes += 1
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            # Not contained(), which would cost each response more than this does.
            try:
                connection.flush()
            except BaseException as error:
                contain(connection, error)
