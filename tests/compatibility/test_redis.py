"""redis-py."""

from __future__ import annotations

import pytest

from support.burst import burst


@pytest.mark.library("redis", area="Databases")
def test_redis_commands_wait_on_the_hub(library_app, database):
    """200 requests that each wait 100 ms in Redis finish in less than a second."""
    server = library_app("redis_app:app", env={"SERVER_SOCKET": str(database("redis").socket)})
    burst(server, ["/?0.1"] * 200)
    result = burst(server, ["/?0.1"] * 200)
    assert {response.body for response in result.responses} == {b"None"}
    assert result.seconds < 1
