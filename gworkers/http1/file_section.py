"""The part of a file that the kernel can copy to a client."""
from __future__ import annotations

import io
import os
from typing import Any, NamedTuple


class FileSection(NamedTuple):
    """The bytes of a file from a position on.

    Attributes:
        fd: the file descriptor
        offset: the position of the first byte
        size: the number of bytes
    """

    fd: int
    offset: int
    size: int


def rest_of(file: Any) -> FileSection | None:
    """Return what *file* contains from its position on, or None if the kernel cannot copy it."""
    try:
        fd = file.fileno()
        offset = os.lseek(fd, 0, os.SEEK_CUR) if not hasattr(file, "tell") else file.tell()
        size = os.fstat(fd).st_size
    except (AttributeError, OSError, io.UnsupportedOperation):
        return None
    if not size:
        # The size of files in /proc is 0, whatever they contain.
        return None
    return FileSection(fd, offset, max(size - offset, 0))
