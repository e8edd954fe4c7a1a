"""sentry-sdk with an HTTP server that receives its events."""

from __future__ import annotations

import json

import pytest

from support.burst import burst
from support.startup import findings
from support.waiting import until

NUMBERS = [str(number) for number in range(100)]


def events(sink):
    """The events of all envelopes: lines of JSON, of which each second one is an event."""
    lines = [line for received in sink.received for line in received.body.splitlines()]
    return [event for event in map(json.loads, filter(None, lines)) if "event_id" in event and "tags" in event]


def number(event):
    """The text of the message or of the exception."""
    return event["exception"]["values"][-1]["value"] if "exception" in event else event["message"]


@pytest.mark.library("sentry-sdk", area="Monitoring")
@pytest.mark.parametrize("path", ["message", "failure"])
def test_events_have_the_data_of_their_requests(library_app, http_sink, path):
    """Messages and exceptions of 100 concurrent requests have their own tags and URLs. A thread sends them."""
    server = library_app("sentry_app:app", env={"SENTRY_DSN": http_sink.url.replace("//", "//key@") + "/1"})
    burst(server, [f"/{path}?{number}" for number in NUMBERS])
    until(lambda: len(events(http_sink)) >= 100, "100 events")
    found = events(http_sink)
    assert sorted(map(number, found)) == sorted(NUMBERS)
    for event in found:
        assert event["tags"]["number"] == event["request"]["query_string"] == number(event)
    if path == "failure":
        for text in NUMBERS:
            server.expect_traceback(f"^ValueError: {text}$")
    assert findings(server) == []
