"""A function that one of several servers runs, decided by a key in Redis. ``REDIS_URL`` names the Redis server."""
from __future__ import annotations

import functools
import os
import socket
import time
from typing import Callable

import redis

CLIENT = redis.Redis.from_url(os.environ["REDIS_URL"])


def once_per_cluster(name: str, period: float) -> Callable[[Callable[[], object]], Callable[[], None]]:
    """Decorate a handler: of all servers with this Redis server, one runs it in each period.

    :param name: the same on all servers
    :param period: seconds of the wall clock; more than the clocks of the servers differ
    """
    def decorate(function: Callable[[], object]) -> Callable[[], None]:
        @functools.wraps(function)
        def run() -> None:
            slot = int(time.time() // period)
            # NX: only the first client succeeds. The key must live longer than its period.
            if CLIENT.set(f"background:{name}:{slot}", socket.gethostname(), nx=True, ex=int(2 * period) + 60):
                function()

        return run

    return decorate
