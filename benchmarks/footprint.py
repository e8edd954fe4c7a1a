"""The system resources that a server holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .server import group

SHARED_FILES = Path("/dev/shm")


@dataclass(frozen=True)
class Footprint:
    """The resources of a server's first process at one moment. Linux only."""

    processes: int
    """Number of processes in its process group, including itself and zombies."""
    descriptors: int
    mappings: int
    """Number of its writable shared mappings: MAP_SHARED."""
    memory: int
    """KiB of its resident set size."""
    files: frozenset[str]
    """Number of files in /dev/shm, of the whole system: their owner is unknown."""

    @classmethod
    def of(cls, process: int) -> Footprint:
        """Measure *process*, which leads a process group. Raises OSError."""
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
