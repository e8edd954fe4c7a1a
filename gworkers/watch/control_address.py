"""Where the control socket of a worker is, and the user at the other end of a connection.

On Linux the socket is in the abstract namespace: it has no file, ends with the process, and is listed in
``/proc/net/unix``. Elsewhere it is a file in a directory that only its owner can enter.
"""
from __future__ import annotations

import os
import re
import stat
import struct
import sys
from glob import escape, glob
from secrets import token_hex
from socket import SOL_SOCKET
from tempfile import gettempdir
from typing import Any, NamedTuple

#: Whether the sockets are in the abstract namespace.
ABSTRACT = sys.platform == "linux"
#: Linux: the option that returns process, user and group of the peer, each an int.
SO_PEERCRED = 17
CREDENTIALS = struct.Struct("3i")
#: macOS and BSD: level and name of the option that returns a ``struct xucred``, which begins with version and user.
SOL_LOCAL, LOCAL_PEERCRED = 0, 1
XUCRED = struct.Struct("Ii")
XUCRED_SIZE = 76


class ControlAddress(NamedTuple):
    """The control socket of one worker."""

    pid: int
    #: as ``bind`` and ``connect`` take it
    name: str


class Peer(NamedTuple):
    """The process at the other end of a connection; of a client's connection the one that listens."""

    #: None if the system does not tell
    pid: int | None
    user: int


def new_name() -> str:
    """Return a name for the control socket of this process. If it is a path, its directory exists.

    :raises OSError: if the directory cannot be made, or another user can enter it
    """
    name = f"gworkers-{os.getpid()}-{token_hex(8)}"
    return f"\0{name}" if ABSTRACT else f"{_directory()}/{name}"


def addresses() -> list[ControlAddress]:
    """Return the control sockets of all workers on this machine, as far as this user can see them."""
    if ABSTRACT:
        with open("/proc/net/unix", errors="replace") as file:
            names = {f"\0{name}" for name in re.findall(r" @(gworkers-\d+-\w+)$", file.read(), re.MULTILINE)}
    else:
        names = set(glob(f"{escape(gettempdir())}/gworkers-*/gworkers-*-*"))
    return sorted(ControlAddress(int(name.split("-")[-2]), name) for name in names)


def peer_of(sock: Any) -> Peer | None:
    """Return the process that is connected to *sock*; None if the system cannot tell.

    :raises OSError: if the peer has left
    """
    if sys.platform == "linux":
        pid, user, _ = CREDENTIALS.unpack(sock.getsockopt(SOL_SOCKET, SO_PEERCRED, CREDENTIALS.size))
        return Peer(pid, user)
    try:
        _, user = XUCRED.unpack_from(sock.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, XUCRED_SIZE))
    except (OSError, struct.error):
        return None
    return Peer(None, user)


def remove_stale() -> None:
    """Remove the files of processes of this user that have ended without removing them."""
    for pid, name in addresses():
        if not ABSTRACT and os.stat(name).st_uid == os.geteuid() and not _is_alive(pid):
            os.unlink(name)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _directory() -> str:
    path = f"{gettempdir()}/gworkers-{os.geteuid()}"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(f"{path} is not a directory of this user that only its owner can enter") from None
    return path
