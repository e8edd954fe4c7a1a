"""A client of the control socket of a worker."""
from __future__ import annotations

import json
import os
import pwd
import socket
from time import monotonic, sleep
from typing import Any

from gworkers.watch.control_address import ControlAddress, peer_of

#: The most bytes of a response.
RESPONSE_SIZE = 256 << 20

#: Seconds between two attempts to connect.
RETRY = 0.02


class ControlError(Exception):
    """A worker did not give a valid response. The text is for the operator."""


class UnreachableError(ControlError):
    """The worker does not listen. It did not get the request."""


def ask(address: ControlAddress, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Send *request* to the worker at *address* and return its response.

    :param seconds: the time for all of it
    :raises UnreachableError: if the worker does not listen
    :raises ControlError: if it refuses the request, or does not respond in time
    """
    end = monotonic() + seconds
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(seconds)
            _connect(sock, address, end)
            _check_server(sock, address)
            sock.sendall(json.dumps(request).encode() + b"\n")
            response = json.loads(_receive(sock, end))
    except socket.timeout:
        raise ControlError(_why_silent(address.pid, seconds)) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"worker {address.pid} cannot be asked: {error}") from None
    if "error" in response:
        raise ControlError(f"worker {address.pid} refused the request: {response['error']}")
    return response  # type: ignore[no-any-return]


def _connect(sock: socket.socket, address: ControlAddress, end: float) -> None:
    while True:
        try:
            sock.connect(address.name)
            return
        except BlockingIOError:
            # Others wait to be accepted. A Unix socket with a timeout does not wait for a place in the queue.
            if monotonic() > end:
                raise socket.timeout from None
            sleep(RETRY)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise UnreachableError(f"worker {address.pid} cannot be asked: {error}") from None


def _check_server(sock: socket.socket, address: ControlAddress) -> None:
    """Check that the worker itself listens, because every user can open a socket of such a name."""
    server = peer_of(sock)
    if server is None:
        return
    if server.pid not in (None, address.pid):
        raise ControlError(f"the control socket of worker {address.pid} belongs to process {server.pid}")
    if os.geteuid() not in (0, server.user):
        raise ControlError(f"worker {address.pid} belongs to user {_user_name(server.user)}. Only this user and root "
                           f"can ask it. Run the command as one of them")


def _receive(sock: socket.socket, end: float) -> bytes:
    received = bytearray()
    while True:
        sock.settimeout(max(end - monotonic(), 0.001))
        data = sock.recv(1 << 20)
        if not data:
            break
        received += data
        if len(received) > RESPONSE_SIZE:
            raise ValueError("the response is too long")
    if not received:
        raise ValueError("it has closed the connection, because it exits, or serves other clients")
    return bytes(received)


def _why_silent(pid: int, seconds: float) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
    except OSError:
        state = ""
    if state in ("T", "t"):
        return f"worker {pid} is stopped by a signal or a debugger. Continue it with kill -CONT {pid}"
    return (f"worker {pid} did not respond in {seconds:g} s. Most likely C code keeps the lock of its interpreter. "
            f"Then the interpreter itself writes the stack to the error log of the server: look for \"Timeout\" there")


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
