"""OpenTelemetry with an HTTP server that receives its traces."""

from __future__ import annotations

import pytest

from compatibility.traces import Span, assert_calls_belong_to_requests
from support.burst import burst
from support.startup import findings
from support.waiting import until


def spans(sink):
    """The spans that the sink has received with the protocol of OTLP over HTTP."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for received in sink.received:
        if received.path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
                for scope in resource.scope_spans:
                    found += [span(item) for item in scope.spans]
    return found


def span(item):
    attributes = {each.key: each.value.string_value for each in item.attributes}
    urls = ("http.url", "url.full", "http.target", "url.path")
    url = next((attributes[name] for name in urls if name in attributes), "")
    return Span(item.trace_id.hex()[-16:], item.span_id.hex(), item.parent_span_id.hex(), url)


@pytest.mark.library("opentelemetry-distro", "opentelemetry-instrumentation-flask",
                     "opentelemetry-instrumentation-requests", "opentelemetry-exporter-otlp-proto-http",
                     area="Monitoring", note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_calls_belong_to_their_requests(library_app, http_sink):
    """The calls of 200 concurrent requests have the right parents in their traces. A thread sends them."""
    upstream = library_app("slow_app:app")
    server = library_app("traced_app:app", env={
        "UPSTREAM": "http://{}:{}".format(*upstream.address), "OTEL_EXPORTER_OTLP_ENDPOINT": http_sink.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }, settings={"post_patch": "opentelemetry.instrumentation.auto_instrumentation:initialize"})
    responses = burst(server, [f"/call/{number}" for number in range(200)]).responses
    until(lambda: len(spans(http_sink)) >= 400, "400 spans")
    assert_calls_belong_to_requests(responses, spans(http_sink))
    assert findings(server) == []
