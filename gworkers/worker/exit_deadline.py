"""A time limit for the exit of a process."""
from __future__ import annotations

import signal

#: The minimum limit in seconds.
MINIMUM = 1.0


def exit_within(seconds: float) -> None:
    """Kill this process after *seconds*, or :data:`MINIMUM` if that is more, if its threads or exit handlers hang."""
    # Python restores the default action of signals before it exits. For SIGUSR1 this is a death that is logged.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, MINIMUM))
