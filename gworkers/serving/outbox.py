"""Answers on their way out: sent together at the end of the hub's turn.

A peer that waits has to be woken, which can cost as much as all the rest of a short request.
Woken once for several answers, a proxy or client on the same machine reads them in one go. So
where requests are short an answer waits until the hub has been through what was ready,
:data:`LONGEST_WAIT` at most. Behind a request that blocks the hub for long no answer should
wait: after one, for :data:`CAUTION` times as long as it took, every answer is sent when it is made.
"""
from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gworkers.hubs.base import Hub
from gworkers.hubs.guard import contain, hub_callback

if TYPE_CHECKING:
    from gworkers.logs.queue import LogQueue
    from gworkers.serving.transport import Transport

#: Seconds that an answer may wait, at most, for others; then all are sent.
LONGEST_WAIT = 0.001
#: Seconds between two answers of one turn from which on the request in between counts as long.
LONG = 0.001
#: What share of the time, inverted, answers may at worst spend behind long requests.
CAUTION = 20


class Outbox:
    """The connections of a worker whose last answer is still to be sent.

    :param hub: says when its turn ends
    :param log: where to report what goes wrong
    """

    def __init__(self, hub: Hub, log: LogQueue) -> None:
        self._hub = hub
        self.log = log
        self._waiting: list[Transport] = []
        self._scheduled = False
        #: how many times the outbox was emptied
        self._flushes = 0
        self._since = 0.0
        self._last = 0.0
        self._cautious_until = 0.0

    def add(self, connection: Transport) -> bool:
        """Take charge of *connection*'s answer, unless it had better be sent right now; return which."""
        now = monotonic()
        if now < self._cautious_until:
            return False
        if not self._waiting:
            self._since = now
            if not self._scheduled:
                self._hub.call_soon(self._end_turn)
                self._scheduled = True
        elif now - self._since > LONGEST_WAIT:
            self.flush_before_send()
            return False
        self._last = now
        self._waiting.append(connection)
        return True

    def flush_before_send(self) -> None:
        """Send all that waits, because something else is about to be sent at once."""
        if self._waiting:
            now = monotonic()
            if now - self._last > LONG:
                self._cautious_until = now + CAUTION * (now - self._last)
            self.flush()

    def next(self) -> object:
        """Return the number of the next flush, for comparison; None if nothing waits."""
        return self._flushes + 1 if self._waiting else None

    def recover(self) -> None:
        """Send what still waits at the end of the hub's next turn."""
        self._scheduled = False
        if self._waiting:
            self._hub.call_soon(self._end_turn)
            self._scheduled = True

    @hub_callback
    def _end_turn(self) -> None:
        self._scheduled = False
        self.flush()

    def flush(self) -> None:
        """Send all that waits. One answer that fails does not stop the others."""
        self._flushes += 1
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            # Not contained(), which would cost every response more than this does.
            try:
                connection.flush()
            except BaseException as error:
                contain(connection, error)
