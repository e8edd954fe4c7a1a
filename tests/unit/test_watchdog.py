"""What the watchdog remembers of a block."""

from __future__ import annotations

from collections import deque
from traceback import StackSummary
from types import SimpleNamespace
from typing import Any

from gworkers.serving.stacks import RequestReport
from gworkers.watch.watchdog import Watchdog


def test_path_of_a_block_is_cut() -> None:
    """Descriptions of blocks fit into the shared memory, whatever clients send."""
    watchdog: Any = SimpleNamespace(block_count=0, _blocks=deque())
    request = RequestReport("GET", "/" + "a" * 100_000, "127.0.0.1", 2.0, "running", StackSummary())
    block = Watchdog._record_block(watchdog, 0.0, request, StackSummary())
    assert block["request"] == f"GET /{'a' * 299} from 127.0.0.1, 2.0 s old"
    assert (watchdog.block_count, list(watchdog._blocks)) == (1, [block])
