"""Many requests at the same moment, each on a connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from support.client import Client, Response
from support.server import Server


class Burst(NamedTuple):
    """The responses in the order of their targets, and the seconds until the last one was complete."""

    responses: list[Response]
    seconds: float


def get(client: Client, target: str) -> Response:
    """Send the only request of a client."""
    return client.request(target, headers=["Connection: close"])


def burst(server: Server, targets: Iterable[str], timeout: float = 60,
          send: Callable[[Client, str], Response] = get) -> Burst:
    """Connect once for each target, then call *send* for all of them at once."""
    wanted = list(targets)
    clients = [Client.connect(server.address, timeout) for _ in wanted]
    responses: list[Response | None] = [None] * len(wanted)
    began = threading.Barrier(len(wanted) + 1)

    def ask(number: int) -> None:
        began.wait()
        responses[number] = send(clients[number], wanted[number])
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


def burst_within(server: Server, targets: Iterable[str], seconds: float, tries: int = 10) -> list[str]:
    """Repeat the burst until it takes less than *seconds*; return the bodies, each with status 200.

    The first burst opens connections, and other processes of the machine may delay a burst.
    """
    wanted = list(targets)
    took = []
    for _ in range(tries):
        responses, last = burst(server, wanted)
        assert {response.status for response in responses} == {200}
        took.append(last)
        if last < seconds:
            return [response.text for response in responses]
    raise AssertionError(f"no burst took less than {seconds} s: {took}")
