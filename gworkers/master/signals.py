"""The signals that the master receives: none is lost, and those that stop the server come first."""
from __future__ import annotations

import signal
from functools import partial
from queue import Empty
from typing import TYPE_CHECKING, Any

from gworkers.gunicorn_differences import RELEASE
from gworkers.gunicorn_internals import SIGNAL_QUEUE
from gworkers.master.signal_queue import SignalQueue

if TYPE_CHECKING:
    from types import FrameType

#: Signals that stop the server. They do not wait until other signals have been handled.
STOPPING = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))

#: Gunicorn 23 keeps at most five signals, in a list, and reaps workers in a signal handler.
GUNICORN_23 = RELEASE < SIGNAL_QUEUE


def keep_all(arbiter: Any) -> None:
    """Make the queue of *arbiter* accept every signal, whatever code the signal interrupts."""
    if GUNICORN_23:
        for sig in arbiter.SIGNALS:
            signal.signal(sig, partial(_append, arbiter))
    elif type(arbiter.SIG_QUEUE).__module__ != "_queue":
        arbiter.SIG_QUEUE = SignalQueue()


def _append(arbiter: Any, sig: int, frame: FrameType | None) -> None:
    # Nothing more, because another signal may interrupt this handler.
    arbiter.SIG_QUEUE.append(sig)
    arbiter.wakeup()


def due(signals: list[int]) -> list[int]:
    """Return those of *signals* that are to be handled: only the stopping ones, if there are any."""
    # One reload has the same effect as several.
    for _ in range(signals.count(signal.SIGHUP) - 1):
        signals.remove(signal.SIGHUP)
    return [sig for sig in signals if sig in STOPPING] or signals


def sort_queue(arbiter: Any) -> None:
    """Keep only the signals that are due in Gunicorn 23's list. Later releases call ``wait_for_signals()`` instead."""
    if GUNICORN_23:
        # Signals that arrive meanwhile are appended.
        count = len(arbiter.SIG_QUEUE)
        arbiter.SIG_QUEUE[:count] = due(arbiter.SIG_QUEUE[:count])


def quick_stop_requested(arbiter: Any) -> bool:
    """Whether the next signal asks for a quick stop. It stays in the queue, for Gunicorn's own ``stop()``.

    Any other signal is discarded, as in Gunicorn. Gunicorn 23 offers no quick stop during a graceful one.
    """
    if GUNICORN_23:
        return False
    try:
        sig = arbiter.SIG_QUEUE.get_nowait()
    except Empty:
        return False
    if sig not in (signal.SIGINT, signal.SIGQUIT):
        return False
    arbiter.SIG_QUEUE.put_nowait(sig)
    return True
