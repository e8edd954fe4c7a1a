"""Code that blocks the asyncio loop of a worker is named while it blocks."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import pytest

from support.client import request
from support.server import Server
from support.stopped import stop_for

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Seconds of ``block_warning`` and half a second, and a margin for a busy machine.
LIMIT = 1.5 + 0.5


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve("blocking_coroutines:app")


@pytest.mark.parametrize("kind", ["compute", "sleep_unpatched", "wait_on_the_hub_of_the_thread"])
def test_code_that_blocks_the_loop_is_named(server: Server, kind: str) -> None:
    client = server.connect()
    assert client.request("/wait?0").status == 200
    began = time.monotonic()
    client.send(request(f"/{kind}?2.5"))
    server.wait_for_log(r"The asyncio loop is blocked for 1\.\d s \(pid:\d+\): \S+/blocking\w*\.py:\d+ in \w+\. ")
    assert time.monotonic() - began < LIMIT
    server.wait_for_log(rf'blocking_coroutines\.py", line \d+, in {kind}$')
    assert server.connect().request("/").status == 200
    assert client.receive().status == 200
    server.wait_for_log(r"The asyncio loop runs again\. It was blocked for 2\.\d s\.$")
    assert len(server.log("The asyncio loop is blocked")) == 1


@pytest.mark.parametrize("kind", ["wait", "wait_in_a_greenlet", "wait_in_a_native_thread"])
def test_waiting_coroutines_are_not_reported(server: Server, kind: str) -> None:
    assert server.connect().request(f"/{kind}?1.8").status == 200
    assert server.log("is blocked") == []


@pytest.mark.full
@pytest.mark.skipif(not hasattr(ctypes, "PyDLL"), reason="C calls of this interpreter release its lock")
def test_short_calls_that_keep_the_lock_of_the_interpreter_are_not_reported(server: Server) -> None:
    client = server.connect()
    client.send(request("/sleep_unpatched?3"))
    server.wait_for_log("The asyncio loop is blocked")
    other = server.connect()
    for _ in range(4):
        assert other.request("/hub/call_c_with_the_lock?0.3").status == 200
    assert client.receive().status == 200
    assert server.log(r"Timeout \(") == []


@pytest.mark.full
def test_blocked_loop_is_named_while_the_hub_is_blocked(server: Server) -> None:
    client = server.connect()
    assert client.request("/block_soon?2.5").status == 200
    client.send(request("/hub/sleep_unpatched?4"))
    server.wait_for_log("The hub is blocked")
    server.wait_for_log("The asyncio loop is blocked for 1")
    server.wait_for_log(r"The asyncio loop runs again\. It was blocked for 2\.\d s\.$")
    assert server.log("The hub runs again") == []
    assert client.receive().status == 200
    server.wait_for_log("The hub runs again")


def test_stopped_process_is_not_reported(server: Server) -> None:
    assert server.connect().request("/wait?0").status == 200
    pid, = server.worker_pids()
    # Longer than block_warning and a check.
    stop_for(pid, 1.8)
    assert server.connect().request("/wait?0.3").status == 200
    assert server.log("The asyncio loop") == []


def test_0_reports_no_blocks(start: Callable[..., Server]) -> None:
    server = start("blocking_coroutines:app", settings={"block_warning": 0})
    assert server.connect().request("/sleep_unpatched?1.8").status == 200
    assert server.log("The asyncio loop") == []
