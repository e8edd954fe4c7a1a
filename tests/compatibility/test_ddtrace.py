"""ddtrace with an HTTP server in place of its agent."""

from __future__ import annotations

import os

import pytest

from compatibility.traces import Span, assert_calls_belong_to_requests
from support.agents import agent_environment
from support.burst import burst
from support.paths import APPS, LIBRARY_APPS
from support.waiting import until


def spans(sink):
    """The spans that the sink has received with the protocol of Datadog's agent."""
    import msgpack

    traces = [trace for received in sink.received if received.path == "/v0.4/traces"
              for trace in msgpack.unpackb(received.body, strict_map_key=False)]
    return [Span(f"{span['trace_id']:016x}", f"{span['span_id']:016x}",
                 f"{span['parent_id']:016x}" if span.get("parent_id") else "", span["meta"].get("http.url", ""))
            for trace in traces for span in trace]


@pytest.mark.library("ddtrace", area="Monitoring")
def test_calls_belong_to_their_requests(library_app, http_sink):
    """The calls of 200 concurrent requests have the right parents in their traces, with `ddtrace-run`."""
    upstream = library_app("slow_app:app")
    server = library_app("traced_app:app", env={
        **agent_environment("ddtrace-run", path=os.pathsep.join(map(str, [LIBRARY_APPS, APPS]))),
        "UPSTREAM": "http://{}:{}".format(*upstream.address), "DD_TRACE_AGENT_URL": http_sink.url,
        "DD_TRACE_API_VERSION": "v0.4",
    })
    responses = burst(server, [f"/call/{number}" for number in range(200)]).responses
    until(lambda: len([span for span in spans(http_sink) if not span.parent]) >= 200, "200 traces")
    assert_calls_belong_to_requests(responses, spans(http_sink))
