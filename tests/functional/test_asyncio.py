"""Coroutines run in one asyncio loop of the worker, while greenlets wait for them."""

from __future__ import annotations

import asyncio
import signal

import pytest

import gworkers
from support.burst import burst
from support.startup import findings

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"), pytest.mark.every_hub]


@pytest.fixture
def server(serve):
    return serve("coroutines:app")


def test_many_coroutines_run_at_the_same_time_in_the_contexts_of_their_requests(server):
    found = burst(server, [f"/concurrent?{number}" for number in range(100)])
    assert [response.body.decode() for response in found.responses] == [f"{n} {n}{n}" for n in range(100)]
    assert found.seconds < 5  # one after another: 10 s


def test_exceptions_arrive_in_the_request(server):
    assert server.connect().request("/failing").body == b"ApplicationError SystemExit CancelledError"
    assert server.connect().request("/concurrent?1").body == b"1 11"


def test_an_object_that_is_no_coroutine_is_refused(server):
    assert server.connect().request("/no-coroutine").body.startswith(b"a coroutine is needed, not <function answer")


def test_a_process_that_a_coroutine_forks_ends_when_the_coroutine_waits(server):
    assert server.connect().request("/forked-by-coroutine").body == b"0"
    found = burst(server, [f"/concurrent?{number}" for number in range(20)])
    assert [response.body.decode() for response in found.responses] == [f"{n} {n}{n}" for n in range(20)]


def test_a_coroutine_starts_a_process_in_another_thread(server):
    assert server.connect().request("/processes?to_thread").text == "from a process\n"


def test_a_process_that_the_hub_cannot_watch_is_refused(server, hub):
    text = server.connect().request("/processes?exec").text
    if hub == "gevent":
        assert text.startswith("a coroutine cannot start a process on gevent ")
    else:
        assert text == "from a process\n"


def test_tasks_that_are_left_behind_are_cancelled_when_the_worker_exits(start):
    server = start("coroutines:app")
    for name in ("first", "second"):
        assert server.connect().request(f"/leave-behind?{name}").status == 200
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert sorted(server.log("the task is cancelled", since=0)) == [
        "first: the task is cancelled", "second: the task is cancelled"]


def test_a_task_that_does_not_end_is_named_and_leaves_time_for_the_exit(start):
    server = start("coroutines:app", "--graceful-timeout", 1)
    assert server.connect().request("/leave-endless-behind").status == 200
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert server.log(r"Asyncio tasks that did not end when they were cancelled \(pid:\d+\): do_not_end\.", since=0)
    assert server.log("Worker exiting", since=0)


def test_a_loop_that_cannot_start_raises_its_error_in_the_request(start):
    server = start("coroutines:app")
    assert server.connect().request("/no-loop").text == "no more file descriptors"
    assert server.connect().request("/concurrent?1").body == b"1 11"


def test_all_coroutines_share_a_loop(server):
    assert len({response.body for response in burst(server, ["/same-loop"] * 5).responses}) == 1


def test_blocking_functions_and_threads_do_not_block_the_loop(server):
    assert server.connect().request("/threads").body == b"True"


@pytest.mark.only(hub="eventlet")
def test_coroutines_and_requests_share_locks_of_eventlet(server):
    found = burst(server, ["/shared-lock?coroutine", "/shared-lock?request"] * 10)
    assert {response.body for response in found.responses} == {b"1"}


@pytest.mark.only(hub="eventlet")
def test_a_failure_with_a_shared_lock_does_not_end_the_sharing(start):
    # The first wait begins before the loop is started.
    server = start("coroutines:app")
    assert server.connect().request("/fail-with-lock").body == b"with the lock, with the lock"
    for _ in range(2):
        server.expect_traceback("ApplicationError: with the lock")


def test_a_coroutine_cannot_block_its_own_loop(server):
    assert b"cannot be called from a running event loop" in server.connect().request("/in-a-coroutine").body


def test_a_cancelled_request_cancels_its_coroutine_and_waits_for_its_end(serve):
    server = serve("coroutines:app", settings={"request_timeout": 0.3, "request_timeout_action": "cancel"})
    name = server.word()
    assert server.connect().request(f"/cancelled?{name}").status == 504
    server.wait_for_log(f"^{name} has ended with RequestTimeout$")
    lines = [line for line in server.log(name) if "GET" not in line]
    assert lines == [f"{name} waits", f"{name} is cancelled", f"{name} has ended with RequestTimeout"]


def test_asyncio_run_uses_the_loop_of_the_worker(serve):
    server = serve("coroutines:app", settings={"asyncio_thread": True})
    found = burst(server, [f"/asyncio-run?{number}" for number in range(50)])
    assert [response.body.decode() for response in found.responses] == [f"{n} {n}{n} True" for n in range(50)]
    assert found.seconds < 5  # one after another: 5 s
    assert server.log("asyncio-conflict", since=0) == []


@pytest.mark.parametrize(("asyncio_thread", "path", "problem", "fix"), [
    (False, "/asyncio-run?1", r"coroutines\.py:\d+ in asyncio_run", "Set GWORKERS_ASYNCIO_THREAD=1 in the environment"),
    (False, "/own-loop", r"coroutines\.py:\d+ in own_loop", "Set GWORKERS_ASYNCIO_THREAD=1 in the environment"),
    (True, "/own-loop", r"coroutines\.py:\d+ in own_loop", "Call gworkers.run_async"),
], ids=["asyncio.run", "own loop", "own loop with the setting"])
def test_a_loop_in_the_thread_of_requests_is_reported_once(start, asyncio_thread, path, problem, fix):
    server = start("coroutines:app", settings={"asyncio_thread": asyncio_thread})
    assert findings(server) == []
    for _ in range(2):
        assert server.connect().request(path).status == 200
    server.wait_for_log(rf"{problem} runs an asyncio loop in a request: .*\. {fix}.* \[asyncio-conflict\]$", since=0)
    assert findings(server) == ["asyncio-conflict"]


def test_outside_of_a_worker_it_is_asyncio_run():
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 1

    assert gworkers.run_async(coroutine()) == 1
