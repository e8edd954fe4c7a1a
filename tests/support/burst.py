"""Many requests at the same moment, each on a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from support.client import Client, Response
from support.server import Server


class Burst(NamedTuple):
    """The responses in the order of their targets, and the seconds until the last one was complete."""

    responses: list[Response]
    seconds: float


def burst(server: Server, targets: Iterable[str], timeout: float = 60) -> Burst:
    """Connect once for each target, then send all requests at once."""
    wanted = list(targets)
    clients = [Client.connect(server.address, timeout) for _ in wanted]
    responses: list[Response | None] = [None] * len(wanted)
    began = threading.Barrier(len(wanted) + 1)

    def ask(number: int) -> None:
        began.wait()
        responses[number] = clients[number].request(wanted[number], headers=["Connection: close"])
        clients[number].close()

    threads = [threading.Thread(target=ask, args=[number], daemon=True) for number in range(len(wanted))]
    for thread in threads:
        thread.start()
    began.wait()
    start = time.monotonic()
    for thread in threads:
        thread.join(timeout)
    seconds = time.monotonic() - start
    complete = [response for response in responses if response is not None]
    assert len(complete) == len(wanted), f"{len(wanted) - len(complete)} of {len(wanted)} requests have no response"
    return Burst(complete, seconds)
