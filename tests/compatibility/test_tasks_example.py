"""The example in examples/tasks: one request that starts tasks, sleeps, looks up names and leaves a task behind."""

from __future__ import annotations

import re
import signal

from support.client import request
from support.waiting import WAIT_LIMIT

#: The line that the application writes last.
LAST = "a task is left behind"


def read_lines(client, last):
    """The lines of a chunked response as they arrive, up to one that has the text *last*."""
    received = b""
    while last.encode() not in received:
        data = client.receive_once()
        assert data, received
        received += data
    client.buffer = received
    return client.receive().text.splitlines() if last == LAST else []


def test_request_streams_and_leaves_a_task_behind(library_app):
    server = library_app("tasks:app", example="tasks", workers=1)
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.send(request())
    for client in clients:
        read_lines(client, " s: sleep for 3 s")
    responses = [read_lines(client, LAST) for client in clients]
    for lines in responses:
        assert "the sum is 499999500000" in lines[1]
        assert any(re.match(r"[\d.]+ s: localhost: .*127\.0\.0\.1", line) for line in lines), lines
        assert len(lines) == 7
    seconds = [float(lines[-1].partition(" ")[0]) for lines in responses]
    # They slept at the same time.
    assert max(seconds) < 6
    # The drain waits for the tasks.
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit(WAIT_LIMIT) == 0
    assert len(server.log(r"^the task in worker \d+ ends [\d.]+ s after its request has begun$", since=0)) == 3
