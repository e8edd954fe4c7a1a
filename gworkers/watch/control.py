"""The control socket of a worker: commands of the operator, for example ``gworkers stacks``.

The thread of the watchdog accepts the connections. Each one is served in a native thread of its own, so neither a
blocked hub nor a client that sends or reads nothing delays anything else. A client sends one line, a JSON object that
names the command. The response is one JSON object.
"""
from __future__ import annotations

import _socket
import atexit
import json
import os
import posix
from socket import AF_UNIX, SOCK_STREAM
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from gworkers.error_text import print_traceback
from gworkers.watch import control_address
from gworkers.watch.control_address import peer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The most connections that are served at the same time.
CLIENTS = 4
#: The most connections that are accepted in one call.
BATCH = 8
#: The most bytes of a request. The largest is that of a signal with its payload.
REQUEST_SIZE = 80 * 1024
#: Seconds in which the whole request must arrive.
RECEIVE_SECONDS = 2.0
#: Seconds in which the client must read the whole response.
SEND_SECONDS = 10.0

#: Returns the response to a request. The socket is that of the client, for commands that end when the client leaves.
Command = Callable[["dict[str, Any]", Any], "dict[str, Any]"]


class ControlSocket:
    """Listens for commands. Only the user of this process and root may send them.

    :param commands: the commands by name. Each call runs in a native thread of its own.
    :param start_thread: :meth:`gworkers.hubs.base.Hub.start_thread`
    :raises OSError: if the socket cannot be opened
    """

    def __init__(self, commands: Mapping[str, Command], start_thread: Callable[[Callable[[], None]], None]) -> None:
        self._commands = commands
        self._start_thread = start_thread
        self._clients: set[Any] = set()
        control_address.remove_stale()
        self._name = control_address.new_name()
        # Not socket.socket, which is patched and would wait in a hub of the thread.
        self._socket: Any = _socket.socket(AF_UNIX, SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.bind(self._name)
        self._socket.listen(CLIENTS)
        self.fd: int = self._socket.fileno()
        #: the process that removes the file, which its forked children must not remove
        self._pid = os.getpid()
        if not control_address.ABSTRACT:
            atexit.register(self._remove_file)

    def accept(self) -> None:
        """Serve the clients that have connected. Refuse other users, and those above :data:`CLIENTS`."""
        for _ in range(BATCH):
            try:
                fd, _address = self._socket._accept()
            except OSError:
                return
            client = _socket.socket(fileno=fd)
            try:
                peer = peer_of(client)
            except OSError:
                client.close()
                continue
            # The system does not tell the user only where the directory keeps other users out.
            if len(self._clients) < CLIENTS and (peer is None or peer.user in (0, os.geteuid())):
                self._clients.add(client)
                self._start_thread(lambda client=client: self._serve(client))  # type: ignore[misc]
            else:
                client.close()

    def close(self) -> None:
        """Stop listening. Commands that run go on."""
        self._socket.close()
        self._remove_file()

    def release_after_fork(self) -> None:
        """Close the file descriptors in a forked process. The worker keeps its own."""
        for sock in (self._socket, *self._clients):
            sock.close()

    def _remove_file(self) -> None:
        if not control_address.ABSTRACT and os.getpid() == self._pid:
            try:
                posix.unlink(self._name)
            except OSError:
                pass

    # The thread of a client

    def _serve(self, client: Any) -> None:
        try:
            response = self._respond(client)
            client.settimeout(SEND_SECONDS)
            client.sendall(json.dumps(response).encode())
        except OSError:
            # The client has left, or does not read.
            pass
        except Exception as error:
            print_traceback(error)
        finally:
            self._clients.discard(client)
            client.close()

    def _respond(self, client: Any) -> dict[str, Any]:
        try:
            request = json.loads(_receive_line(client))
            command = self._commands[request["command"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"error": f"the request is not a JSON object with a command, one of {', '.join(self._commands)}, "
                             f"on one line of at most {REQUEST_SIZE} bytes"}
        return command(request, client)


def _receive_line(client: Any) -> bytes:
    """Return the first line that *client* sends.

    :raises OSError: if it does not arrive in time
    :raises ValueError: if it is too long
    """
    end = monotonic() + RECEIVE_SECONDS
    received = b""
    while b"\n" not in received:
        client.settimeout(max(end - monotonic(), 0.001))
        data = client.recv(REQUEST_SIZE)
        received += data
        if not data or len(received) > REQUEST_SIZE:
            raise ValueError("incomplete or too long")
    return received
