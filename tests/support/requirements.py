"""What a test needs of the machine."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest

#: Debian has servers where only root's PATH leads, and those of PostgreSQL in directories of their own.
PLACES = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin",
          *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]


def unavailable(what: str) -> NoReturn:
    """Skip the test for this reason; fail it where TEST_ALL_RUNTIMES is set, as in .ci/run."""
    if os.environ.get("TEST_ALL_RUNTIMES"):
        pytest.fail(what)
    pytest.skip(what)


def find_program(name: str) -> str | None:
    """Return the path of a program; None if it is not installed."""
    return shutil.which(name, path=os.pathsep.join(PLACES))


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    return find_program(name) or unavailable(f"{name} is not installed")


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports
