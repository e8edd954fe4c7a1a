"""redis-py."""

from __future__ import annotations

import pytest

from support.burst import burst, burst_within
from support.startup import findings


@pytest.fixture
def redis_server(library_app, database):
    return library_app("redis_app:app", env={"SERVER_SOCKET": str(database("redis").socket)})


@pytest.mark.library("redis", area="Databases")
def test_redis_commands_wait_on_the_hub(redis_server):
    """200 requests that each wait 100 ms in Redis finish in less than a second."""
    assert set(burst_within(redis_server, ["/wait?0.1"] * 200, 1)) == {"None"}
    assert findings(redis_server) == []


@pytest.mark.library("redis", area="Databases")
def test_pipelines_of_concurrent_requests_are_not_mixed(redis_server):
    """200 concurrent requests share a pool of 10 connections, and each transaction gets its own replies."""
    numbers = [str(number) for number in range(200)]
    responses = burst(redis_server, [f"/transaction?{number}" for number in numbers]).responses
    assert [response.text for response in responses] == numbers
    assert redis_server.ask("/connections") <= 10


@pytest.mark.library("redis", area="Databases")
def test_subscribers_get_each_message(redis_server):
    """100 requests that subscribe get a message that another request publishes."""
    clients = [redis_server.connect() for _ in range(100)]
    for client in clients:
        client.send(b"GET /subscribe?news HTTP/1.1\r\nHost: test\r\n\r\n")
    assert redis_server.ask("/publish?news=100=hello") == 100
    assert {client.receive().text for client in clients} == {"hello"}
