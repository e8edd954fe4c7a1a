"""The time limit of a response that the kernel takes in several pieces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.serving.transport import Transport


class Flushing:
    """As much of a transport with an unfinished response as ``_flush_when_writable`` uses."""

    def __init__(self, flushing: bool) -> None:
        self._flushing = flushing
        self.calls: list[str] = []
        self.server = SimpleNamespace(write=SimpleNamespace(start=lambda connection: self.calls.append("start"),
                                                            stop=lambda connection: self.calls.append("stop")))

    def _watch_write(self) -> None:
        self.calls.append("watch")


@pytest.mark.parametrize(("flushing", "sent", "calls"), [
    (False, 0, ["watch", "start"]),
    (False, 10, ["watch", "start"]),
    (True, 0, []),
    (True, 10, ["stop", "start"]),
])
def test_time_limit_begins_again_with_each_progress(flushing: bool, sent: int, calls: list[str]) -> None:
    transport: Any = Flushing(flushing)
    Transport._flush_when_writable(transport, sent)
    assert (transport.calls, transport._flushing) == (calls, True)
