"""structlog with values that are bound to a request."""

from __future__ import annotations

import json

import pytest

from support.burst import burst
from support.startup import findings


@pytest.mark.library("structlog", area="Monitoring")
def test_bound_values_belong_to_their_requests(library_app):
    """Values that 200 concurrent requests bind are in their own log lines only, without `clear_contextvars()`."""
    server = library_app("structlog_app:app")
    targets = [f"/{'plain' if number % 2 else 'bind'}?{number}" for number in range(200)]
    # The second time on greenlets that have served a request.
    for _ in range(2):
        burst(server, targets)
    server.wait_for_log(r'^\{.*"event"', count=400)
    lines = [json.loads(line) for line in server.log(r'^\{.*"event"')]
    assert len(lines) == 400
    for line in lines:
        assert line.get("number") == (None if int(line["event"]) % 2 else line["event"])
    assert findings(server) == []
