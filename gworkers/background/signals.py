"""Signals of the application: a handler is started for each message with its name."""
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gworkers.background.messages import PAYLOAD_SIZE, Messages, key_of
from gworkers.background.triggers import Source, Step

if TYPE_CHECKING:
    from gworkers.background.scheduler import Scheduler
    from gworkers.logs.queue import LogQueue

#: The most messages that are examined in one step.
COUNT = 200


@dataclass(frozen=True)
class Signal:
    """Starts a handler for each message of a signal, with its payload as the argument."""

    signal: str
    kind = "signal"
    use = "signal"
    parameters = 1
    queues = True

    def __post_init__(self) -> None:
        if not isinstance(self.signal, str) or not self.signal:
            raise ValueError(f"a signal needs a name, not {self.signal!r}")

    def source(self, scheduler: Scheduler) -> Source:
        """Return the messages of the signal."""
        return SignalMessages(self.signal, scheduler.messages, scheduler.log)


class SignalMessages:
    """The messages of one signal. ``last`` is the position up to which they were read.

    :param signal: its name
    :param messages: all messages
    :param log: where to report lost messages
    """

    def __init__(self, signal: str, messages: Messages, log: LogQueue) -> None:
        self._signal = signal
        self._key = key_of(signal)
        self._messages = messages
        self._log = log

    def first(self) -> float:
        """Return the end of all messages so far."""
        return self._messages.end

    def step(self, last: float) -> Step:
        """Return the first message after *last*."""
        try:
            message = self._messages.read(int(last), self._key, COUNT)
        except LookupError:
            self._log.error("Messages of the signal %s were lost, because the handler in this worker is slower than "
                            "the senders. Send less, or let the handler pass its work on.", self._signal)
            return Step(self._messages.end)
        if message.payload is None:
            return Step(message.end, wait=0.0 if message.end < self._messages.end else float("inf"))
        try:
            payload = json.loads(message.payload)
        except (ValueError, RecursionError) as error:
            # The limits of the sender's process may be higher.
            self._log.error("A message of the signal %s was discarded, because its payload of %s bytes cannot be "
                            "decoded: %s", self._signal, len(message.payload), error)
            return Step(message.end, wait=0.0)
        return Step(message.end, is_due=True, arguments=(payload,))

    def close(self) -> None:
        """Do nothing."""


def encode(payload: object) -> bytes:
    """Return *payload* as JSON.

    :raises TypeError: if JSON has no form for it, or it is nested too deeply
    :raises ValueError: if it is too long
    """
    try:
        encoded = json.dumps(payload).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the payload of a signal must be JSON: {error}") from None
    if len(encoded) > PAYLOAD_SIZE:
        raise ValueError(f"the payload of a signal has {len(encoded)} bytes as JSON, the most are {PAYLOAD_SIZE}. "
                         f"Store it elsewhere, and send its key")
    return encoded
