"""Traces that an agent has sent, and what they have to show about concurrent requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from support.client import Response


class Span(NamedTuple):
    """A span; *parent* is "" for the root of a trace. Identifiers are hexadecimal, and of 64 bits."""

    trace: str
    id: str
    parent: str
    url: str


def assert_calls_belong_to_requests(responses: Sequence[Response], spans: Iterable[Span]) -> None:
    """Assert that request number N (to ``/call/N``) is the root of the call to ``/called/N`` in a trace of its own.

    :param responses: with the header ``traceparent`` of the call, in the order of the requests
    """
    known = {span.id: span for span in spans}
    for number, response in enumerate(responses):
        _, trace, name, _ = response.text.split("-")
        span = known[name]
        assert span.url.endswith(f"/called/{number}")
        while span.parent:
            assert span.trace == trace[-16:]
            span = known[span.parent]
        assert span.url.endswith(f"/call/{number}")
    assert len({response.text.split("-")[1] for response in responses}) == len(responses)
