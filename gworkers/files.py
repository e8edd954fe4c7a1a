"""Access to regular files only, because a configured path may lead to something else.

Opening a FIFO blocks until it has a peer. In the master this would also block reloads and signals.
"""
from __future__ import annotations

import errno
import os
import posix
import stat

KINDS = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a directory",
         stat.S_IFLNK: "a symbolic link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


class NotRegularFileError(OSError):
    """The path exists, but is not a regular file.

    :param mode: its ``st_mode``
    """

    def __init__(self, path: str, mode: int) -> None:
        kind = KINDS.get(stat.S_IFMT(mode), "something else")
        super().__init__(errno.EINVAL, f"it is {kind}, not a regular file", path)


def regular_file_exists(path: str, *, follow_symlinks: bool = True) -> bool:
    """Return whether there is a regular file at *path*.

    :raises NotRegularFileError: if the path is something else
    :raises OSError: if the path cannot be examined
    """
    try:
        mode = os.stat(path, follow_symlinks=follow_symlinks).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise NotRegularFileError(path, mode)
    return True


def open_regular_file(path: str, *, follow_symlinks: bool = True) -> int:
    """Open the regular file at *path* for reading, without blocking, and return its file descriptor.

    :raises NotRegularFileError: if the path is something else
    :raises OSError: if it does not exist or cannot be opened
    """
    # Before open(), because opening a device may have side effects.
    regular_file_exists(path, follow_symlinks=follow_symlinks)
    nofollow = 0 if follow_symlinks else os.O_NOFOLLOW
    # eventlet may have patched os.open() and os.read(), and the master has no hub.
    fd = posix.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | nofollow)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        # It was replaced after the first check.
        posix.close(fd)
        raise NotRegularFileError(path, mode)
    return fd
