"""Signals from processes that are no workers. They are sent through the control socket of a worker."""
from __future__ import annotations

import json

from gworkers.errors import SendError
from gworkers.inspection.control_client import ControlError, UnreachableError, ask
from gworkers.inspection.workers import UnknownServerError, workers_at, workers_of

#: Seconds that a worker has for its response.
SECONDS = 5.0


def send(server: str | int, name: str, payload: bytes) -> None:
    """Send a signal to a server on this machine.

    :param server: the process id of a worker or of the master, the path of a pidfile, or an address of ``bind``
    :param payload: JSON
    :raises SendError: if no worker has accepted it
    """
    text = str(server)
    is_address = ":" in text and not text.startswith("/")
    try:
        workers = workers_at(text) if is_address else workers_of(text)
    except UnknownServerError as error:
        raise SendError(str(error)) from None
    request = {"command": "send", "name": name, "payload": json.loads(payload)}
    errors = []
    for worker in workers:
        try:
            ask(worker, request, SECONDS)
            return
        except UnreachableError as error:
            # It exits. Another one may stay.
            errors.append(str(error))
        except ControlError as error:
            # Not sent to another worker, because this one may have accepted it.
            raise SendError(f"no worker has confirmed the signal {name!r}: {error}") from None
    raise SendError(f"the signal {name!r} was not sent: {'; '.join(errors)}")
