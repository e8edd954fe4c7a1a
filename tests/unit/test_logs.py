"""The limits and the order of log lines that a reader or a handler does not accept at once."""

from __future__ import annotations

import os
from typing import Any

from gworkers.logs import queue as queue_module
from gworkers.logs.queue import LogQueue
from gworkers.logs.stream import LogStream

#: More than a pipe holds.
LINES = [f"line {number:05}\n" for number in range(12000)]


class IdleHub:
    """A hub that calls nothing."""

    def __init__(self) -> None:
        self.scheduled: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.scheduled.append(callback)


def test_lines_keep_their_order_when_the_reader_is_slow() -> None:
    reader, writer = os.pipe()
    hub: Any = None
    with open(reader, "rb", buffering=0) as end, open(writer, "w") as target:
        stream = LogStream(target, hub)
        read = b""
        for line in LINES:
            stream.write(line)
        while len(read) < sum(map(len, LINES)):
            # An odd number of bytes, so that writes end in the middle of a line.
            read += end.read(3001)
            stream.flush()
        assert read.decode() == "".join(LINES)
        assert not stream.has_pending


def test_queue_holds_a_limited_number_of_records() -> None:
    hub: Any = IdleHub()
    logger: Any = None
    queue = LogQueue(hub, logger, lambda error: False)
    for _ in range(queue_module.LIMIT + 10):
        queue.enqueue(print)
    assert len(queue._records) == queue_module.LIMIT
    assert queue._dropped.take_if_due() == 10
    assert len(hub.scheduled) == 1
