"""The client of the status process: reads ``/state.json`` from a status address."""
from __future__ import annotations

import http.client
import json
import socket
from typing import Any

#: Seconds to wait for the status process.
TIMEOUT = 5.0
#: The most bytes of a response. Each worker contributes at most one slot of the shared memory.
MAX_BYTES = 64 * 1024 * 1024

#: The content of state.json. docs/status.md describes the fields.
State = dict[str, Any]


class StatusUnavailable(Exception):
    """The status address does not answer, or its answer is not the state of a gworkers server."""


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection(address: str) -> http.client.HTTPConnection:
    """Return a connection to *address*, which is not opened yet.

    :param address: ``host:port``, ``[IPv6 address]:port`` or ``unix:/path``, as in the setting ``status_address``
    :raises ValueError: *address* has another form
    """
    if address.startswith("unix:"):
        path = address[len("unix:"):]
        if not path:
            raise ValueError(f"{address!r} has no path after unix:")
        return _UnixConnection(path)
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536) or (
            ":" in host and not bracketed):
        raise ValueError(f"{address!r} is no address; it must be host:port or unix:/path")
    return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT)


def fetch(address: str) -> State:
    """Return the state of the server whose ``status_address`` is *address*.

    :raises ValueError: *address* is no address
    :raises StatusUnavailable: there is no answer within 5 s, or another answer
    """
    link = connection(address)
    try:
        link.request("GET", "/state.json")
        response = link.getresponse()
        body = response.read(MAX_BYTES)
        if response.status != 200:
            raise StatusUnavailable(f"{address} responds to /state.json with status {response.status}; "
                                    "it may belong to another program, or the server has just started")
        state = json.loads(body)
    except (OSError, http.client.HTTPException) as error:
        reason = f"no answer within {TIMEOUT:.0f} s" if isinstance(error, TimeoutError) or str(error) == "timed out" \
            else getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StatusUnavailable(f"{address} does not answer: {reason}. Check that the server runs, and that "
                                "the setting status_address has this value") from error
    except ValueError as error:
        raise StatusUnavailable(f"{address} responds to /state.json with something else than JSON; "
                                "it may belong to another program") from error
    finally:
        link.close()
    if not isinstance(state, dict) or not {"server", "workers", "totals"} <= state.keys():
        raise StatusUnavailable(f"{address} responds to /state.json with other JSON than a gworkers server; "
                                "it may belong to another program")
    return state
