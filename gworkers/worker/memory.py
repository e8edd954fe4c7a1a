"""The memory usage of this process."""
from __future__ import annotations

import os
import posix
import resource
import sys

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the size of the resident set in bytes. Outside Linux this is its maximum so far."""
    try:
        # proc(5): the second field is the resident set, in pages. posix is never patched, unlike os.
        statm = posix.open("/proc/self/statm", posix.O_RDONLY)
        try:
            return int(posix.read(statm, 256).split()[1]) * PAGE_SIZE
        finally:
            posix.close(statm)
    except OSError:
        maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return maximum if sys.platform == "darwin" else maximum * 1024
