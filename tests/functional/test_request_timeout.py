"""``request_timeout``: the client is released first, and the request interrupted only if the configuration asks."""

from __future__ import annotations

import pytest

from support.client import Client, request
from support.memory import resident

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

WAITS = ["in_a_sleep", "in_a_socket", "in_a_lock", "in_a_queue", "catching_exceptions"]
#: Released requests delay the end of their server.
LOG = ("--graceful-timeout", 2, "--access-logfile", "-", "--access-logformat", "logged %(r)s %(s)s")
DEADLINE_IN_A_HOOK = """
from os import write

def post_request(worker, req, environ, resp):
    try:
        environ["gworkers.deadline"](0)
    except RuntimeError as error:
        write(2, b"refused: %s\\n" % str(error).encode())
"""
ENDED = "the request has ended with gworkers.errors.RequestTimeout"


@pytest.fixture
def with_action(serve):
    """Returns a server with the given ``request_timeout_action``."""
    def with_action(action):
        return serve("slow_requests:app", *LOG, settings={"request_timeout": 0.5, "request_timeout_action": action})

    return with_action


@pytest.fixture
def release(with_action):
    return with_action("release")


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("action", ["release", "cancel"])
def test_client_gets_504(with_action, action, wait):
    server = with_action(action)
    response = server.connect().request(f"/wait?{wait}")
    assert (response.status, response.header("connection")) == (504, "close")
    server.wait_for_log(r"Request timeout after 0\.[5-9] s: GET /wait from 127\.0\.0\.1\. The client gets 504\.")
    server.wait_for_log(r'slow_requests\.py", line \d+, in ' + wait)
    server.wait_for_log(rf"^logged GET /wait\?{wait} HTTP/1\.1 504$")
    if action == "cancel":
        server.wait_for_log(f"^{ENDED}$")
    # Neither a context variable nor anything else of it is left.
    assert server.connect().request("/short").body == b"unset"
    assert server.log("an Exception was caught|Error handling") == []
    assert len(server.log("^logged GET /wait")) == 1


@pytest.mark.parametrize("action", ["release", "cancel"])
def test_response_that_has_begun_is_reset(with_action, action):
    server = with_action(action)
    client = server.connect()
    client.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        read_until_reset(client)
    server.wait_for_log("The response had begun, so the connection is reset")
    server.wait_for_log(r"^logged GET /stream HTTP/1\.1 200$")
    if action == "cancel":
        server.wait_for_log(f"^{ENDED}$")


@pytest.mark.parametrize("path", ["until-opened", "started-until-opened"])
def test_released_request_runs_on_and_its_output_is_discarded(release, path):
    name = release.word()
    assert release.connect().request(f"/{path}?{name}").status == 504
    assert release.connect().request(f"/open?{name}").status == 200
    release.wait_for_log(f"^{name} has written$")
    assert release.log("Error handling") == []


def test_keep_alive_connection_serves_requests_that_are_in_time(release):
    client = release.connect()
    for _ in range(20):
        assert client.request("/short").body == b"unset"


@pytest.mark.smoke
def test_request_sets_its_own_limit(serve):
    server = serve("slow_requests:app", *LOG)
    assert server.connect().request("/with-a-deadline?0.3").status == 504
    assert server.connect().request("/with-a-deadline?5").status == 200


def test_request_lifts_the_limit(release):
    assert release.connect().request("/with-a-deadline?none").status == 200


def test_invalid_limit_is_an_error(release):
    body = release.connect().request("/invalid-deadline").body
    assert b"must be None or a number of seconds that is not negative" in body


def test_limit_of_another_greenlet_is_an_error(release):
    body = release.connect().request("/deadline-in-a-thread").body
    assert b"works in the greenlet of a request only" in body


def test_limit_after_the_request_is_an_error(serve):
    """It would limit the next request of the connection."""
    server = serve("slow_requests:app", config=DEADLINE_IN_A_HOOK)
    client = server.connect()
    assert client.request("/short").status == 200
    server.wait_for_log("^refused: this works in the greenlet of a request only")
    assert client.request("/short").status == 200


def test_exceptions_are_no_exceptions(release):
    """``except Exception`` in an application must not catch them."""
    expected = str([["RequestInterrupted", "BaseException"]] * 2).encode()
    assert release.connect().request("/exported").body == expected


def test_drain_waits_for_an_overdue_request(start):
    server = start("slow_requests:app", settings={"request_timeout": 0.5})
    name = server.word()
    assert server.connect().request(f"/until-opened?{name}").status == 504
    client = server.connect()
    assert client.request("/").status == 200
    opener = server.connect()
    server.process.terminate()
    server.wait_for_log("Handling signal: term")
    opener.send(request(f"/open?{name}"))
    server.wait_for_log(f"^{name} has written$")


@pytest.mark.full
def test_many_timeouts_leave_nothing_behind(start):
    """Connections, greenlets and memory are released."""
    server = start("slow_requests:app", settings={"request_timeout": 0.2, "request_timeout_action": "cancel"})
    pid, = server.worker_pids()

    def time_out(count: int) -> None:
        for _ in range(count):
            clients = [server.connect() for _ in range(50)]
            for client in clients:
                client.send(request("/wait?in_a_sleep"))
            for client in clients:
                assert client.receive().status == 504
                client.close()

    time_out(4)
    before = resident(pid)
    time_out(16)
    assert resident(pid) - before < 4 * 1024 * 1024
    assert server.connect().request("/short").body == b"unset"
    assert server.worker_pids() == [pid]


def read_until_reset(client: Client) -> None:
    while client.receive_once():
        pass


def test_requests_above_max_active_requests_get_503(start):
    server = start("slow_requests:app", settings={"max_active_requests": 2})
    waiting = [server.connect() for _ in range(2)]
    for client in waiting:
        client.send(request("/wait-for-client?20"))
    server.wait_for_log("^a request waits", count=2)
    response = server.connect().request("/short")
    assert (response.status, response.header("retry-after")) == (503, "1")
    server.wait_for_log(r"Requests were refused with 503, because max_active_requests \(2\) is reached: 1\.")
    for client in waiting:
        client.close()
    server.wait_for_log("^the client is gone: True$", count=2)
    assert server.connect().request("/short").status == 200
