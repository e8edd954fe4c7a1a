"""What the status server of a test server says."""

from __future__ import annotations

import json
from typing import Any

from support.client import Client, Response
from support.server import Server
from support.waiting import until

#: The setting that turns the status server on, at a port that is free.
ON = {"status_address": "127.0.0.1:0"}


class Status:
    """The status server of one server, at the address that it has logged last."""

    def __init__(self, server: Server) -> None:
        server.wait_for_log(r"Status at: ", since=0)
        address = server.log(r"Status at: ", since=0)[-1].partition("Status at: ")[2]
        self.address: tuple[str, int] | str
        if address.startswith("unix:"):
            self.address = address[len("unix:"):]
        else:
            host, _, port = address[len("http://"):].rpartition(":")
            self.address = host.strip("[]"), int(port)

    @property
    def is_reachable(self) -> bool:
        try:
            self.get("/live")
        except (OSError, AssertionError):
            return False
        return True

    def wait_until_ready(self) -> Status:
        """Wait until a worker accepts connections. It says that it is ready a moment earlier."""
        until(lambda: self.get("/ready").status == 200, "readiness")
        return self

    def get(self, path: str) -> Response:
        client = Client.connect(self.address)
        try:
            return client.request(path, version="1.0")
        finally:
            client.close()

    def state(self) -> dict[str, Any]:
        response = self.get("/state.json")
        assert response.status == 200
        return json.loads(response.body)

    def requests(self) -> int:
        """All requests that were counted."""
        return sum(self.state()["totals"]["requests"].values())

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """The value of each sample by its name and its labels, read by the parser of prometheus_client."""
        from prometheus_client.parser import text_string_to_metric_families

        response = self.get("/metrics")
        assert response.status == 200, response.body
        samples = [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]
        found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
        assert len(found) == len(samples)
        return found
