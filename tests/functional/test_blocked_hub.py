"""The watchdog: what blocks the hub is named while it blocks, and SIGABRT logs what runs."""

from __future__ import annotations

import ctypes
import os
import re
import time

import pytest

from support.client import request
from support.stopped import stop_for

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Seconds of ``block_warning`` and half a second, and a margin for a busy machine.
LIMIT = 1.5 + 0.5
#: The place that is named for each kind of block.
KINDS = {kind: rf".*blocking\.py:\d+ in {kind}" for kind in ("loop_in_python", "sleep_unpatched", "call_c")}
#: If the coverage is measured, a call runs code of that, too.
KINDS["make_short_calls"] = r".*\.py:\d+ in \w+"


@pytest.fixture
def server(serve):
    return serve("blocking:app")


@pytest.mark.parametrize("kind", KINDS)
def test_code_that_blocks_the_hub_is_named(server, kind):
    client = server.connect()
    began = time.monotonic()
    client.send(request(f"/{kind}?2"))
    server.wait_for_log(rf"The hub is blocked for 1\.\d s \(pid:\d+\): {KINDS[kind]}, "
                        rf"request: GET /{kind} from 127\.0\.0\.1")
    assert time.monotonic() - began < LIMIT
    server.wait_for_log(r'blocking\.py", line \d+, in app')
    server.wait_for_log(rf'blocking\.py", line \d+, in {kind}')
    assert client.receive().body == b"ok"
    server.wait_for_log(rf"The hub runs again\. It was blocked for (1\.9|2\.\d) s by GET /{kind} from 127\.0\.0\.1\.$")
    assert len(server.log("The hub is blocked")) == 1


@pytest.mark.skipif(not hasattr(ctypes, "PyDLL"), reason="C calls of this interpreter release its lock")
@pytest.mark.smoke
def test_c_code_that_keeps_the_lock_of_the_interpreter_is_named(server):
    client = server.connect()
    began = time.monotonic()
    client.send(request("/call_c_with_the_lock?2"))
    server.wait_for_log(r'blocking\.py", line \d+ in call_c_with_the_lock')
    assert time.monotonic() - began < LIMIT
    assert client.receive().body == b"ok"
    server.wait_for_log(
        r"The hub runs again\. It was blocked for (1\.9|2\.\d) s by GET /call_c_with_the_lock from 127\.0\.0\.1\.$")


def test_waiting_requests_are_not_reported(server):
    assert server.connect().request("/wait?1.6").body == b"ok"
    assert server.log("The hub is blocked") == []


def test_stopped_process_is_not_reported(server):
    pid, = server.worker_pids()
    # Longer than block_warning and a beat.
    stop_for(pid, 1.8)
    assert server.connect().request("/").body == b"ok"
    assert server.log("The hub is blocked") == []


def test_0_reports_no_blocks(start):
    server = start("blocking:app", settings={"block_warning": 0})
    assert server.connect().request("/loop_in_python?1.6").body == b"ok"
    assert server.log("The hub is blocked") == []


@pytest.mark.parametrize("kind", ["loop_in_python", "call_c", "call_c_with_the_lock"])
def test_abort_logs_the_stack_and_all_requests_in_flight(start, kind):
    config = "def worker_abort(worker):\n    worker.log.warning('worker_abort was called')\n"
    server = start("blocking:app", "--timeout", 2, config=config, settings={"block_warning": 0})
    waiting = server.connect()
    waiting.send(request("/wait?30"))
    # The first one runs when this one is answered.
    assert server.connect().request("/").body == b"ok"
    server.connect().send(request(f"/{kind}?3.6"))
    server.wait_for_log("WORKER TIMEOUT")
    server.wait_for_log(rf'blocking\.py", line \d+,? in {kind}')
    if kind != "call_c_with_the_lock":
        server.wait_for_log("Requests in flight: 2")
        server.wait_for_log(r"GET /wait from 127\.0\.0\.1, \d\.\d s old, waiting")
        server.wait_for_log(rf"GET /{kind} from 127\.0\.0\.1, \d\.\d s old, running")
    if kind == "loop_in_python":
        server.wait_for_log("worker_abort was called")
    server.wait_for_log(r"Booting worker with pid", since=server.mark, count=1)


@pytest.mark.full
def test_idle_worker_wakes_up_at_most_five_times_a_second(start):
    server = start("blocking:app")
    client = server.connect()
    assert client.request("/").body == b"ok"
    # An open connection has timeouts, which are checked more often.
    client.close()
    pid, = server.worker_pids()
    before, seconds = wake_ups(pid), 4
    # The time is the subject of the test.
    time.sleep(seconds)
    assert wake_ups(pid) - before <= 5 * seconds


def wake_ups(pid: int) -> int:
    """The voluntary context switches of all threads of a process."""
    if not os.path.isdir(f"/proc/{pid}/task"):
        pytest.skip("wake-ups are counted in /proc")
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return total
