"""grpcio with a gRPC server in another process."""

from __future__ import annotations

import pytest

from support.burst import burst, burst_within
from support.startup import findings

NUMBERS = [str(number) for number in range(100)]


@pytest.fixture
def grpc_client(library_app, program):
    """``grpc_client(**settings)``: a server whose requests call the gRPC server."""
    port = program("grpc_server").wait_for(r"^port (\d+)$")[1]
    return lambda **settings: library_app("grpc_app:app", env={"GRPC_PORT": port}, settings=settings)


@pytest.mark.only(hub="gevent", transport="tcp", parser="fast")
@pytest.mark.library("grpcio", area="Clients",
                     note='Use gevent with the setting [`post_patch="grpc.experimental.gevent:init_gevent"`]'
                          '(settings.md).')
def test_grpc_waits_on_gevent(grpc_client):
    """100 calls that take 100 ms finish in less than a second."""
    server = grpc_client(post_patch="grpc.experimental.gevent:init_gevent")
    assert burst_within(server, [f"/?{number}" for number in NUMBERS], 1) == NUMBERS
    assert findings(server) == []


@pytest.mark.only(hub="eventlet", transport="tcp", parser="fast")
@pytest.mark.library("grpcio", area="Clients", works=False,
                     note="On eventlet there is no way: a call in a thread of `eventlet.tpool` never returns.")
def test_grpc_blocks_eventlet(grpc_client):
    """On eventlet each call blocks the worker, which warns at its start."""
    server = grpc_client()
    responses, seconds = burst(server, [f"/?{number}" for number in range(10)])
    assert [response.text for response in responses] == NUMBERS[:10]
    assert seconds >= 1
    assert findings(server) == ["driver-blocks"]
