"""The setting sendfile, and early hints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support.server import Server

pytestmark = pytest.mark.only(parser="fast")

Serve = Callable[..., Server]

#: Logs the bytes that the kernel copies from files to sockets. It replaces the function before other imports.
COUNTING = """
import os
from os import write

def counting(*arguments, original=os.sendfile):
    sent = original(*arguments)
    write(2, b"sendfile sent %d\\n" % sent)
    return sent

os.sendfile = counting
"""

needs_sendfile = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


def sent_by_the_kernel(server: Server, file: Path) -> int:
    """Fetch the file twice on one connection. Return the number of bytes that sendfile() has sent."""
    client = server.connect()
    for _ in range(2):
        response = client.request(f"/file?file={file}")
        assert (response.status, response.framing) == (200, "length")
        assert response.body == file.read_bytes()
    assert client.request("/say?out=and&err=done").status == 200
    server.wait_for_log("^done$")
    return sum(int(line.split()[-1]) for line in server.log("^sendfile sent"))


@needs_sendfile
def test_sendfile_is_used(serve: Serve, file: Path) -> None:
    assert sent_by_the_kernel(serve("probe:app", config=COUNTING), file) == 2 * file.stat().st_size


@needs_sendfile
def test_no_sendfile_reads_the_file(serve: Serve, file: Path) -> None:
    assert sent_by_the_kernel(serve("probe:app", "--no-sendfile", config=COUNTING), file) == 0


@needs_sendfile
@pytest.mark.parametrize(("value", "used"), [("no", False), ("yes", True)])
def test_sendfile_variable_is_applied(serve: Serve, file: Path, value: str, used: bool) -> None:
    server = serve("probe:app", config=COUNTING, env={"SENDFILE": value})
    assert sent_by_the_kernel(server, file) == 2 * file.stat().st_size * used


def test_early_hints_are_sent(serve: Serve) -> None:
    response = serve("probe:app").connect().request("/hints")
    assert response.status == 200
    (hint,) = response.interim
    assert (hint.status, hint.reason, hint.headers) == (103, "Early Hints", [("Link", "</style.css>; rel=preload")])


def test_early_hints_are_not_sent_to_http_1_0_clients(serve: Serve) -> None:
    client = serve("probe:app").connect()
    response = client.request("/hints", version="1.0")
    assert (response.status, response.interim) == (200, [])
    client.expect_close()
