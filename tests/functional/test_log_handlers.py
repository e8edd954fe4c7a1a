"""Log handlers that raise, wait, hang or find their lock taken cost log lines, and nothing else."""

from __future__ import annotations

import signal

import pytest

from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

HANDLERS = ["raising", "waiting", "hanging", "cancelling"]


def with_handler(name):
    return f"import sys\nfrom log_handlers import add\npost_worker_init = add({name!r})\n"


def send_nonsense(server):
    client = server.connect()
    client.send(b"NONSENSE\r\n\r\n")
    assert client.receive().status == 400
    return client


def assert_serves(server, count=20):
    for _ in range(count):
        assert server.connect().request("/", headers=["Connection: close"]).body == b"ok"


@pytest.fixture
def failing(start):
    """A server whose handlers print tracebacks of their own."""
    servers = []

    def failing(*options, **more):
        # A handler that hangs may do so in a worker's last line, which takes as long.
        servers.append(start("log_handlers:app", "--graceful-timeout", 3, *options, **more))
        return servers[-1]

    yield failing
    for server in servers:
        # Gunicorn itself logs the end of a worker, and gevent reports a handler that still hangs then.
        server.stop()
        for _ in server.unexpected_tracebacks():
            server.expect_traceback("the application has failed|CancelledError|this handler|LoopExit|un-acquired")


@pytest.mark.parametrize("handler", HANDLERS)
def test_invalid_requests_do_not_fill_the_worker(failing, handler):
    server = failing("--worker-connections", 20, config=with_handler(handler))
    for _ in range(25):
        send_nonsense(server)
    assert_serves(server)


@pytest.mark.parametrize("handler", HANDLERS)
def test_application_errors_are_answered(failing, handler):
    server = failing("--access-logfile", "-", config=with_handler(handler))
    kept = server.connect()
    clients = [server.connect() for _ in range(30)]
    for client in clients:
        client.send(request("/fail"))
    for client in clients:
        assert client.receive().status == 500
    assert kept.request("/").body == b"ok"
    assert_serves(server)


def test_handler_whose_lock_a_native_thread_holds(failing):
    server = failing("--worker-connections", 20)
    assert server.connect().request("/hold-the-lock", headers=["Connection: close"]).status == 200
    server.wait_for_log("^the lock is held$")
    for _ in range(25):
        send_nonsense(server)
    assert_serves(server)
    assert server.log("Invalid request") == []
    assert server.connect().request("/release-the-lock").status == 200
    server.wait_for_log("Invalid request", count=25)


def test_post_request_hook_that_raises_a_base_exception(failing):
    server = failing(config="from log_handlers import cancel as post_request\n")
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(request("/cancelled"))
    for client in clients:
        assert client.receive().status == 404
    server.wait_for_log("Exception in post_request hook", count=20)
    assert_serves(server)


def test_usr1_does_not_wait_for_a_handler_that_hangs(failing):
    """It needs the handler's lock; the heartbeat must go on meanwhile."""
    server = failing("--timeout", 2, "--error-logfile", "error.log", "--access-logfile", "access.log",
                     config=with_handler("hanging"), ready=False, bind=["unix:listener"])
    server.wait_for_log(r"^worker \d+ is ready$", since=0)
    server.addresses = [f"{server.directory}/listener"]
    worker, = server.worker_pids()
    send_nonsense(server)
    server.signal(signal.SIGUSR1)
    log = server.directory / "error.log"
    until(lambda: "Handling signal: usr1" in log.read_text(), "the signal's log line")
    # Several heartbeats later, any of which could have been the last.
    assert server.connect().request("/wait-a-while").status == 200
    assert server.worker_pids() == [worker]
    assert "WORKER TIMEOUT" not in log.read_text()


def test_invalid_requests_are_logged_up_to_a_limit(failing):
    """The rest is counted, and the count is logged."""
    server = failing(config="from log_handlers import shorten_intervals as post_worker_init\n")
    for _ in range(13):
        send_nonsense(server).close()
    server.wait_for_log(r"3 more invalid requests in the last 3 seconds were not logged")
    assert len(server.log("Invalid request from ip=127.0.0.1: Invalid HTTP request line: 'NONSENSE'")) == 10
    send_nonsense(server)
    server.wait_for_log("Invalid request", count=11)
