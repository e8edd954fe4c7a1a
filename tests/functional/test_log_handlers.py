"""Log handlers that raise, wait, hang or cannot acquire their lock lose log lines, but have no other effect."""

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
    """Return a function that starts a server whose log handlers print tracebacks."""
    servers = []

    def failing(*options, **more):
        # A handler may hang in the last log line of a worker, until the graceful timeout.
        servers.append(start("log_handlers:app", "--graceful-timeout", 3, *options, **more))
        return servers[-1]

    yield failing
    for server in servers:
        # Gunicorn logs the exit of a worker, and gevent reports a handler that still hangs.
        server.stop()
        for _ in server.unexpected_tracebacks():
            server.expect_traceback("the application has failed|CancelledError|this handler|LoopExit|un-acquired")


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.sample(2)
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


def test_log_lock_held_by_a_native_thread_does_not_block_the_worker(failing):
    server = failing("--worker-connections", 20)
    assert server.connect().request("/hold-the-lock", headers=["Connection: close"]).status == 200
    server.wait_for_log("^the lock is held$")
    for _ in range(25):
        send_nonsense(server)
    assert_serves(server)
    assert server.log("Invalid request") == []
    assert server.connect().request("/release-the-lock").status == 200
    server.wait_for_log("Invalid request", count=25)


def test_base_exception_in_post_request_is_logged(failing):
    server = failing(config="from log_handlers import cancel as post_request\n")
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(request("/cancelled"))
    for client in clients:
        assert client.receive().status == 404
    server.wait_for_log("Exception in post_request hook", count=20)
    assert_serves(server)


def test_usr1_does_not_wait_for_a_hanging_handler(failing):
    """SIGUSR1 needs the lock of the handler. The heartbeat must continue."""
    server = failing("--timeout", 2, "--error-logfile", "error.log", "--access-logfile", "access.log",
                     config=with_handler("hanging"), ready=False, bind=["unix:listener"])
    server.wait_for_log(r"^worker \d+ is ready$", since=0)
    server.addresses = [f"{server.directory}/listener"]
    worker, = server.worker_pids()
    send_nonsense(server)
    server.signal(signal.SIGUSR1)
    log = server.directory / "error.log"
    until(lambda: "Handling signal: usr1" in log.read_text(), "the signal's log line")
    # This takes several heartbeats.
    assert server.connect().request("/wait-a-while").status == 200
    assert server.worker_pids() == [worker]
    assert "WORKER TIMEOUT" not in log.read_text()


def test_invalid_requests_are_logged_up_to_a_limit(failing):
    """Further ones are counted, and the count is logged."""
    server = failing(config="from log_handlers import shorten_intervals as post_worker_init\n")
    for _ in range(13):
        send_nonsense(server).close()
    server.wait_for_log(r"Invalid requests in the last 3 s that were not logged: 3\.")
    assert len(server.log("Invalid request from ip=127.0.0.1: Invalid HTTP request line: 'NONSENSE'")) == 10
    send_nonsense(server)
    server.wait_for_log("Invalid request", count=11)
