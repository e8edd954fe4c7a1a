"""How much memory this process has."""
from __future__ import annotations

import os
import posix
import resource
import sys

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return the bytes of memory that the process has, its resident set; elsewhere than on Linux the most it had."""
    try:
        # proc(5): the second of the numbers, in pages.
        # Not open() and os.read(), which may be patched.
        statm = posix.open("/proc/self/statm", posix.O_RDONLY)
        try:
            return int(posix.read(statm, 256).split()[1]) * PAGE
        finally:
            posix.close(statm)
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
