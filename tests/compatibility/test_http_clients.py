"""HTTP clients with a server that is slow to respond."""

from __future__ import annotations

import pytest

from support.burst import burst_within
from support.startup import findings


@pytest.fixture(params=["http", "https"])
def client_server(request, library_app, serve, certificates):
    """A server whose requests ask another one, by name."""
    # A client may use a connection again at the moment when the server closes it.
    options = ["--keep-alive", 60, *(certificates.options if request.param == "https" else ())]
    upstream = serve("cancelled_upstream:app", *options)
    return library_app("http_clients_app:app", env={
        "UPSTREAM": f"{request.param}://localhost:{upstream.address[1]}", "CA_CERTS": str(certificates.ca_certs),
        # As users have it: eventlet looks up names with dnspython.
        "EVENTLET_NO_GREENDNS": ""})


def assert_concurrent(server, library, count=100):
    numbers = [str(number) for number in range(count)]
    assert burst_within(server, [f"/{library}?{number}" for number in numbers], 1) == numbers
    assert findings(server) == []


@pytest.mark.library("requests", area="Clients")
def test_requests_waits_on_the_hub(client_server):
    """100 calls to a server that takes 100 ms finish in less than a second, with and without TLS, by host name."""
    assert_concurrent(client_server, "requests")


@pytest.mark.library("urllib3", area="Clients")
def test_urllib3_waits_on_the_hub(client_server):
    """100 calls to a server that takes 100 ms finish in less than a second, with and without TLS, by host name."""
    assert_concurrent(client_server, "urllib3")


@pytest.mark.library("httpx", area="Clients", note="Call `AsyncClient` with [`gworkers.run_async`](asyncio.md).")
@pytest.mark.parametrize("client", ["httpx", "httpx-async"])
def test_httpx_waits_on_the_hub(client_server, client):
    """50 calls of `Client` and of `AsyncClient` that take 100 ms finish in less than a second, with and without TLS."""
    # For each request httpx examines all connections of its pool.
    assert_concurrent(client_server, client, 50)
