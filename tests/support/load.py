"""Clients that ask on and on, while something happens to the server."""

from __future__ import annotations

import json
import threading
from types import TracebackType

from support.client import Client
from support.server import Server
from support.waiting import until


class Load:
    """Some clients: each other one keeps its connection for as long as the server does, the others connect each time.

    ::

        with Load(server) as load:
            load.goes_on(20)
        assert not load.failures

    Attributes:
        failures: what went wrong, in words.
        pids: who answered, in order.
    """

    def __init__(self, server: Server, clients: int = 4, target: str = "/") -> None:
        self.failures: list[str] = []
        self.pids: list[int] = []
        self._server = server
        self._target = target
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=[number % 2 == 0], daemon=True)
                         for number in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(15)
            assert not thread.is_alive()

    def goes_on(self, count: int = 20) -> None:
        """Wait until so many more requests were answered."""
        wanted = len(self.pids) + count
        until(lambda: len(self.pids) >= wanted or self.failures, f"{count} more answers")

    def answered_by(self, *pids: int) -> None:
        """Wait until each of these has answered something."""
        until(lambda: set(pids) <= set(self.pids) or self.failures, f"answers of {pids}")

    def _ask(self, keeps: bool) -> None:
        client: Client | None = None
        while not self._ended.is_set():
            try:
                if client is None:
                    client = Client.connect(self._server.address)
                response = client.request(self._target)
                assert response.status == 200, response.head
                self.pids.append(json.loads(response.body)["pid"])
            except (OSError, AssertionError) as error:
                self.failures.append(f"{'kept' if keeps else 'new'}: {error!r}")
                if client is not None:
                    client.close()
                client = None
                self._ended.wait(0.1)
                continue
            if response.closes or not keeps:
                client.close()
                client = None
            # Not to find out how fast it is.
            self._ended.wait(0.005)
        if client is not None:
            client.close()
