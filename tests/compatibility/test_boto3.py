"""boto3 with the S3 service of moto, in a process of its own."""

from __future__ import annotations

import pytest

from support.burst import burst
from support.startup import findings


@pytest.mark.library("boto3", area="Clients")
@pytest.mark.parametrize(("put", "get", "count"), [("put", "get", 20), ("put-in-parts", "get-in-parts", 4)])
def test_objects_are_stored_and_read(library_app, program, put, get, count):
    """20 requests at once each store and read 5 MB in S3 (moto's server), and 4 requests 12 MB in parts."""
    url = program("moto.server", "-H", "127.0.0.1", "-p", "0").wait_for(r"Running on (http://127\.0\.0\.1:\d+)")[1]
    server = library_app("boto3_app:app", env={"S3_URL": url})
    names = range(count)
    stored = burst(server, [f"/{put}?{name}" for name in names]).responses
    assert len({response.text for response in stored}) == count
    found = burst(server, [f"/{get}?{name}" for name in names]).responses
    assert [response.text for response in found] == [response.text for response in stored]
    assert findings(server) == []
