"""Falcon, Bottle and Pyramid, each with the same routes."""

from __future__ import annotations

import hashlib
import os

import pytest

from support.burst import burst
from support.forms import HEADER, form

pytestmark = pytest.mark.parametrize("framework", [
    pytest.param("falcon", marks=pytest.mark.library("falcon", area="Web frameworks")),
    pytest.param("bottle", marks=pytest.mark.library("bottle", area="Web frameworks")),
    pytest.param("pyramid", marks=pytest.mark.library("pyramid", area="Web frameworks")),
])


@pytest.fixture
def server(library_app, framework):
    return library_app(f"{framework}_app:app")


def test_concurrent_requests_are_kept_apart(server):
    """200 requests that wait at the same time each see their own request object."""
    def send(client, number):
        return client.request(f"/items/{number}?wait=0.2", headers=[f"X-Number: {number}", "Connection: close"])

    responses = burst(server, map(str, range(200)), send=send).responses
    assert [response.text for response in responses] == [f"{number} {number}" for number in range(200)]


def test_file_is_uploaded(server):
    """A form with a file of 5 MB arrives intact."""
    content = os.urandom(5_000_000)
    response = server.connect().request("/upload", method="POST", headers=[HEADER], body=form("file", content))
    assert response.text == hashlib.sha256(content).hexdigest()


def test_response_is_streamed(server):
    """A generator is streamed in chunks."""
    response = server.connect().request("/stream")
    assert response.framing == "chunked"
    assert response.text == "".join(f"{number}\n" for number in range(1000))
