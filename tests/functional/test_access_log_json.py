"""The setting ``access_log_json``: a JSON object for each request, in the places where the access log goes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys

import greenlet
import pytest

from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

ON = {"access_log_json": "on"}
LOG = ("--access-logfile", "-", "--access-logformat", "the format %(r)s")

needs_tracing = pytest.mark.skipif(not getattr(greenlet, "GREENLET_USE_TRACING", False),
                                   reason="this build of greenlet reports no switches")

#: A formatter other than Gunicorn's, which turns the fast access log off.
FORMATTED = """
import logging
def post_worker_init(worker):
    worker.log.access_log.handlers[0].setFormatter(logging.Formatter("%(message)s "))
"""

LOGGERS = """
from gunicorn.glogging import Logger

class Counting(Logger):
    def access(self, resp, req, environ, request_time):
        super().access(resp, req, environ, request_time)
        self.info("counted %s", resp.status)

class Own(Logger):
    def access(self, resp, req, environ, request_time):
        self.info("own %s", resp.status)
"""


def logged(server, path="/", count=1):
    """The object in the access log for a request with that path."""
    return json.loads(server.wait_for_log(rf'^(\{{.*"path":"{re.escape(path)}".*\}}) ?$', count=count)[1])


@pytest.fixture(params=["", FORMATTED], ids=["fast", "logging"])
def server(serve, request):
    return serve("probe:app", *LOG, settings=ON, config=request.param)


@pytest.mark.smoke
def test_line_of_a_request(server):
    response = server.connect().request(
        "/variable?name=A%20B", method="POST", body=b"12345",
        headers=["Referer: http://example.org/", "User-Agent: \"me\"", "Cookie: secret", "Authorization: Basic secret"])
    found = logged(server, "/variable")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found.pop("pid") == server.worker_pids()[0]
    assert 0 <= found.pop("duration") < 60
    assert found.pop("worker") == 1
    assert found.pop("hub_time", 0) >= 0
    assert found.pop("wait_time", 0) >= 0
    assert found == {
        "remote_addr": "127.0.0.1", "method": "POST", "path": "/variable", "query": "name=A%20B",
        "protocol": "HTTP/1.1", "status": response.status, "response_bytes": len(response.body), "request_bytes": 5,
        "host": "test", "referer": "http://example.org/", "user_agent": '"me"'}
    assert server.log("secret|the format") == []


def test_trace_of_a_request(server):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    server.connect().request("/variable?name=A", headers=[f"traceparent: {trace}"])
    assert logged(server, "/variable")["traceparent"] == trace


def test_bytes_that_are_not_utf_8(server):
    client = server.connect()
    client.send(b"GET /variable?name=A HTTP/1.1\r\nHost: test\r\nUser-Agent: \xff\xc3\xa9\r\nReferer: \xc3\xa9\r\n\r\n")
    assert client.receive().status == 200
    found = logged(server, "/variable")
    assert (found["user_agent"], found["referer"]) == ("\xff\xc3\xa9", "\xe9")


def test_failing_application_is_logged_with_500(server):
    assert server.connect().request("/boom").status == 500
    assert logged(server, "/boom")["status"] == 500
    server.expect_traceback("ValueError: asked for")


def test_chunked_request_has_no_number_of_bytes(server):
    client = server.connect()
    client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert client.receive().status == 200
    assert "request_bytes" not in logged(server, "/upload")


def test_each_pipelined_request_is_logged(server):
    client = server.connect()
    client.send(b"".join(request(f"/variable?name={number}") for number in range(3)))
    for _ in range(3):
        client.receive()
    server.wait_for_log('"path":"/variable"', count=3)
    assert [json.loads(line)["query"] for line in server.log('"path":"/variable"')] == ["name=0", "name=1", "name=2"]


# Hub time


def assert_complete(found):
    assert found["hub_time"] + found["wait_time"] == pytest.approx(found["duration"], abs=2e-6)


@needs_tracing
@pytest.mark.every_hub
@pytest.mark.parametrize("settings", [ON, {**ON, "request_greenlets": "fresh"}], ids=["reused", "fresh"])
@pytest.mark.sample(2)
def test_hub_time_is_the_time_that_the_request_runs(serve, settings):
    server = serve("hub_time:app", *LOG, settings=settings)
    for path, runs, waits in (("/runs", 0.2, 0), ("/waits", 0, 0.2), ("/runs-and-waits", 0.2, 0.2),
                              ("/streams", 0.2, 0.2)):
        assert server.connect().request(path).status == 200
        found = logged(server, path)
        assert found["hub_time"] >= runs
        assert found["wait_time"] >= waits
        assert_complete(found)
        if not waits:
            assert found["wait_time"] == 0


@needs_tracing
@pytest.mark.every_hub
def test_requests_of_one_connection_are_measured_separately(serve):
    server = serve("hub_time:app", *LOG, settings=ON)
    client = server.connect()
    client.send(request("/runs") + request("/") + request("/waits") + request("/"))
    for _ in range(4):
        assert client.receive().status == 200
    assert logged(server, "/waits")["wait_time"] >= 0.2
    server.wait_for_log('"path":"/"', count=2)
    for line in server.log('"path":"/(runs)?"'):
        assert json.loads(line)["wait_time"] == 0


@needs_tracing
@pytest.mark.every_hub
def test_request_that_is_released_while_it_waits(serve):
    server = serve("hub_time:app", *LOG, settings={**ON, "request_timeout": 0.5})
    gate = server.word()
    assert server.connect().request(f"/runs-and-waits-at?{gate}").status == 504
    found = logged(server, "/runs-and-waits-at")
    assert found["status"] == 504
    assert found["hub_time"] >= 0.2
    assert_complete(found)
    # Otherwise the server would wait for the request when it stops.
    assert server.connect().request(f"/open?{gate}").status == 200


@needs_tracing
def test_trace_function_of_the_application_is_called_too(serve):
    server = serve("hub_time:app", *LOG, settings=ON, config="""
import greenlet
def post_fork(server, worker):
    greenlet.settrace(lambda event, greenlets: COUNT.append(event))
COUNT = []
def post_request(worker, request, environ, response):
    worker.log.info("%s switches", len(COUNT))
""")
    assert server.connect().request("/waits").status == 200
    assert logged(server, "/waits")["wait_time"] >= 0.2
    assert int(server.wait_for_log(r"(\d+) switches")[1]) > 1


@needs_tracing
def test_hub_time_is_absent_if_the_trace_function_is_replaced_during_a_wait(start):
    server = start("hub_time:app", *LOG, settings=ON)
    gate = server.word()
    client = server.connect()
    client.send(request(f"/waits-at?{gate}"))
    server.wait_for_log("^waiting$")
    assert server.connect().request("/replaces-the-trace-function").status == 200
    assert server.connect().request(f"/open?{gate}").status == 200
    assert client.receive().status == 200
    assert not {"hub_time", "wait_time"} & logged(server, "/waits-at").keys()


# Destinations


def test_setting_is_off_by_default(serve):
    server = serve("probe:app", *LOG)
    assert server.connect().request("/variable?name=A").status == 200
    server.wait_for_log(r"^the format GET /variable\?name=A HTTP/1\.1$")


def test_file_is_reopened(start):
    server = start("probe:app", "--access-logfile", "access.log", settings=ON)
    path = server.directory / "access.log"
    assert server.connect().request("/variable?name=A").status == 200
    until(lambda: "name=A" in path.read_text(), "the line is in the file")
    path.rename(server.directory / "access.log.1")
    server.signal(signal.SIGUSR1)
    until(path.exists, "the file is reopened")

    def has_line():
        server.connect().request("/variable?name=B")
        return "name=B" in path.read_text()

    until(has_line, "a line is in the new file")
    for text in (path.read_text(), (server.directory / "access.log.1").read_text()):
        assert {json.loads(line)["path"] for line in text.splitlines()} == {"/variable"}


def test_syslog(start, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        server = start("probe:app", "--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{receiver.getsockname()[1]}",
                       settings=ON)
        assert server.connect().request("/variable?name=A").status == 200
        while True:
            message = receiver.recv(65536).rstrip(b"\0\n").decode()
            if '"path"' in message:
                break
        assert json.loads(message[message.index("{"):])["path"] == "/variable"


def test_logging_configuration(start):
    server = start("probe:app", settings=ON, config="""
logconfig_dict = {
    "version": 1, "disable_existing_loggers": False,
    "formatters": {"own": {"format": "own %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stderr"},
                 "console": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stderr"},
                 "error_console": {"class": "logging.StreamHandler", "formatter": "own"}},
    "loggers": {"gunicorn.access": {"handlers": ["own"], "level": "INFO", "propagate": False, "qualname": "a"},
                "gunicorn.error": {"handlers": ["own"], "level": "INFO", "propagate": False, "qualname": "e"}},
}
""", ready=False)
    server.wait_for_log(r"^worker \d+ is ready$", since=0)
    server.addresses = [server._address(server.wait_for_log(r"Listening at: (.*) \(\d+\)", since=0)[1])]
    assert server.connect().request("/variable?name=A").status == 200
    assert json.loads(server.wait_for_log(r"^own (\{.*\})$")[1])["path"] == "/variable"


def test_statsd(start):
    # Gunicorn uses a logger class of its own for it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        server = start("probe:app", *LOG, "--statsd-host", f"127.0.0.1:{receiver.getsockname()[1]}", settings=ON)
        assert server.connect().request("/variable?name=A").status == 200
        assert logged(server, "/variable")["status"] == 200
        while b"gunicorn.request.status.200:1" not in receiver.recv(65536):
            pass


def test_logger_class_that_extends_access(start, tmp_path):
    (tmp_path / "loggers.py").write_text(LOGGERS)
    server = start("probe:app", "--chdir", tmp_path, "--logger-class", "loggers.Counting", *LOG, settings=ON)
    assert server.connect().request("/variable?name=A").status == 200
    assert logged(server, "/variable")["status"] == 200
    server.wait_for_log("counted 200 OK")


def test_logger_class_that_replaces_access(start, tmp_path):
    (tmp_path / "loggers.py").write_text(LOGGERS)
    server = start("probe:app", "--chdir", tmp_path, "--logger-class", "loggers.Own", *LOG, settings=ON)
    assert server.connect().request("/variable?name=A").status == 200
    server.wait_for_log("own 200 OK")
    assert server.log('"path"') == []


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")
@pytest.mark.parametrize("config", ["", FORMATTED], ids=["fast", "logging"])
def test_full_disk_does_not_stop_requests(start, config):
    server = start("probe:app", "--access-logfile", "/dev/full", settings=ON, config=config)
    for _ in range(5):
        assert server.connect().request("/variable?name=secret").status == 200
    server.wait_for_log("The access log cannot be written .*No space left on device")
    assert server.log("secret") == []


def test_unread_pipe_does_not_block_the_worker(start, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        server = start("probe:app", "--access-logfile", path, settings=ON)
        client = server.connect()
        # More than the 64 KiB of a pipe.
        for _ in range(100):
            assert client.request("/variable?name=A", headers=["User-Agent: " + "x" * 1000]).status == 200
        text = ""

        def all_lines():
            nonlocal text
            try:
                text += os.read(fd, 1024 * 1024).decode()
            except BlockingIOError:
                pass
            return text.count("\n") == 100

        until(all_lines, "all lines")
        assert {json.loads(line)["path"] for line in text.splitlines()} == {"/variable"}
    finally:
        os.close(fd)


def test_invalid_value_stops_the_start(start):
    server = start("probe:app", settings={"access_log_json": "jsonl"}, ready=False)
    assert server.process.wait(30) != 0
    assert server.log("gworkers setting access_log_json is 'jsonl' .*Expected: True or False")
