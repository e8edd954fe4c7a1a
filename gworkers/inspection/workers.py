"""The running workers that a command means: by a process id, a pidfile, or an address that the server listens on."""
from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from typing import NoReturn

from gworkers.files import open_regular_file
from gworkers.watch.control_address import ControlAddress, addresses

#: The states of a listening socket in /proc/net.
TCP_LISTEN, UNIX_LISTEN = "0A", "01"


class UnknownServerError(Exception):
    """No worker was found. The text is for the operator."""


def workers_of(server: str) -> list[ControlAddress]:
    """Return the worker with this process id, or all workers of the master with it.

    :param server: a process id, or the path of a pidfile
    :raises UnknownServerError: if there is none
    """
    pid = int(server) if server.isdigit() else _read_pidfile(server)
    known = addresses()
    found = [each for each in known if each.pid == pid]
    if not found:
        found = [each for each in known if _parent_of(each.pid) == pid]
    if not found:
        _raise_unknown(f"process {pid}", known)
    return found


def workers_at(name: str) -> list[ControlAddress]:
    """Return the workers of the server that listens at an address.

    :param name: as in Gunicorn's setting ``bind``: ``HOST:PORT``, ``:PORT``, ``[IPV6]:PORT`` or ``unix:PATH``
    :raises UnknownServerError: if there is none, or the address is invalid
    """
    if not os.path.isdir("/proc/net"):
        raise UnknownServerError("--bind-name needs /proc, which only Linux has. Pass a process id or a pidfile")
    inodes = _unix_inodes(name[len("unix:"):]) if name.startswith("unix:") else _tcp_inodes(name)
    known = addresses()
    found = [each for each in known if inodes & _sockets_of(each.pid)]
    if not found:
        _raise_unknown(f"a server at {name}", known)
    return found


def _raise_unknown(what: str, known: list[ControlAddress]) -> NoReturn:
    others = ", ".join(str(each.pid) for each in known) or "none"
    raise UnknownServerError(f"{what}: no gworkers worker was found. It may still load its application, or run in "
                             f"another container. Workers on this machine: {others}")


def _read_pidfile(path: str) -> int:
    try:
        with os.fdopen(open_regular_file(path)) as file:
            return int(file.read(32))
    except (OSError, ValueError) as error:
        raise UnknownServerError(f"the pidfile {path} cannot be read: {error}") from None


def _parent_of(pid: int) -> int:
    """Return the parent of a process; 0 if the process does not exist."""
    try:
        if os.path.isdir("/proc/self"):
            # Images of containers often have no ps.
            with open(f"/proc/{pid}/stat") as file:
                return int(file.read().rpartition(")")[2].split()[1])
        return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], stdout=subprocess.PIPE, check=False).stdout)
    except (OSError, ValueError):
        return 0


def _sockets_of(pid: int) -> set[str]:
    """Return the inodes of the sockets of a process, as far as this user can see them."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
            if found:
                inodes.add(found[1])
    except OSError:
        # The process has closed one, has exited, or belongs to another user.
        pass
    return inodes


def _unix_inodes(path: str) -> set[str]:
    with open("/proc/net/unix", errors="surrogateescape") as file:
        rows = [line.rstrip("\n").split(None, 7) for line in file]
    return {row[6] for row in rows if len(row) == 8 and row[5] == UNIX_LISTEN and row[7] == path}


def _tcp_inodes(name: str) -> set[str]:
    """Return the inodes of the sockets that listen at *name*, or at its port of all addresses."""
    host, _, port = name.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM,
                                   flags=socket.AI_PASSIVE)
    except (ValueError, OSError) as error:
        raise UnknownServerError(f"{name} is not an address, such as 127.0.0.1:8000 or unix:/run/site.sock: "
                                 f"{error}") from None
    inodes = set()
    for family, _, _, _, address in found:
        table = "tcp6" if family == socket.AF_INET6 else "tcp"
        packed = socket.inet_pton(family, str(address[0]))
        wanted = {f"{_kernel_form(each)}:{int(port):04X}" for each in (packed, bytes(len(packed)))}
        inodes |= {row[9] for row in _rows(f"/proc/net/{table}") if row[1] in wanted and row[3] == TCP_LISTEN}
    return inodes


def _rows(path: str) -> Iterable[list[str]]:
    try:
        with open(path) as file:
            return [line.split() for line in file][1:]
    except OSError:
        return []


def _kernel_form(packed: bytes) -> str:
    """Return an address as /proc/net shows it: 32-bit words in the byte order of the machine."""
    words = (packed[index:index + 4] for index in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
