"""A time limit for the exit of a process."""
from __future__ import annotations

import signal

#: The minimum limit in seconds.
MINIMUM = 1.0


def exit_within(seconds: float) -> None:
    """Kill this process after *seconds*, but at least :data:`MINIMUM`, in case its threads or exit handlers hang."""
    # Python restores the default actions of signals before it exits. SIGUSR1 would then kill the process, which the
    # arbiter would log.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, MINIMUM))
