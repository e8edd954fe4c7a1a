"""What a server holds of the system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .server import group

SHARED_FILES = Path("/dev/shm")


@dataclass(frozen=True)
class Footprint:
    """One look at a server's first process. Linux only."""

    processes: int
    """Of its process group, itself and the dead that nobody has collected included."""
    descriptors: int
    mappings: int
    """Pieces of its memory that it shares with others for writing: MAP_SHARED."""
    memory: int
    """KiB of its resident set size."""
    files: frozenset[str]
    """Names in /dev/shm, which does not tell whose they are: of the whole system."""

    @classmethod
    def of(cls, process: int) -> Footprint:
        """Look at *process*, which leads a process group. Raises OSError."""
        proc = Path("/proc", str(process))
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        permissions = (line.split()[1] for line in (proc / "maps").read_text().splitlines())
        return cls(
            processes=len(group(process)),
            descriptors=len(os.listdir(proc / "fd")),
            mappings=sum(words.endswith("s") for words in permissions),
            memory=int(status.get("VmRSS", "0 kB").split()[0]),
            files=frozenset(os.listdir(SHARED_FILES)) if SHARED_FILES.exists() else frozenset(),
        )
