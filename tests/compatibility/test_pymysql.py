"""PyMySQL with MariaDB."""

from __future__ import annotations

import pytest

from support.burst import burst_within
from support.startup import findings


@pytest.mark.library("pymysql", area="Databases")
def test_pymysql_waits_on_the_hub(library_app, database):
    """200 requests that each wait 100 ms in MariaDB finish in less than a second, with 100 connections."""
    server = library_app("pymysql_app:app", env={"SERVER_SOCKET": str(database("mariadb").socket)})
    numbers = range(200)
    assert burst_within(server, [f"/?{number}" for number in numbers], 1) == [str(number) for number in numbers]
    assert findings(server) == []
