"""Requests that run for as long as a test needs them to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.client import request
from support.server import Server
from support.waiting import until


class HeldRequest:
    """A request to probe.py that the application does not answer until ``let_go``.

    Attributes:
        client: its connection.
    """

    def __init__(self, server: Server, directory: Path, name: str = "gate", index: int = 0) -> None:
        self._gate = directory / name
        self.client = server.connect(index=index)
        self.client.send(request(f"/hold?file={self._gate}"))

    @property
    def runs(self) -> bool:
        """Whether it has reached the application."""
        return Path(f"{self._gate}.waits").exists()

    def running(self) -> HeldRequest:
        """Wait until it has."""
        until(lambda: self.runs, "the request runs")
        return self

    def let_go(self) -> None:
        """Let the application answer it."""
        self._gate.touch()

    def answer(self) -> Any:
        """The answer of a request that was let go: who served it, and with how many others at most."""
        response = self.client.receive()
        assert response.status == 200
        return json.loads(response.body)
