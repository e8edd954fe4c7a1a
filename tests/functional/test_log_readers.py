"""An unwritable or unread log loses log lines, but has no other effect."""

from __future__ import annotations

import os
import re
import sys

import pytest

from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")

#: A formatter other than Gunicorn's, which turns the fast access log off.
FORMATTED = """
import logging
def post_worker_init(worker):
    worker.log.access_log.handlers[0].setFormatter(logging.Formatter("formatted %(message)s"))
"""


class Fifo:
    """A named pipe that is read on demand."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.text = ""

    def read(self):
        try:
            self.text += os.read(self.fd, 1024 * 1024).decode()
        except BlockingIOError:
            pass
        return self.text

    def close(self):
        os.close(self.fd)


@pytest.fixture
def fifo(tmp_path):
    fifo = Fifo(tmp_path / "fifo")
    yield fifo
    fifo.close()


def get(server, count, header):
    client = server.connect()
    for _ in range(count):
        assert client.request("/", headers=[header]).body == b"ok"
    client.close()


@pytest.mark.parametrize("config", ["", FORMATTED], ids=["fast", "logging"])
@pytest.mark.log_handler(waits="the handler is slower than the reader")
@pytest.mark.slow
def test_unread_access_log_does_not_block_the_worker(fifo, start, config):
    """Up to 1 MiB of lines is buffered, further lines are dropped. The buffered lines are written later, complete."""
    server = start("many_clients:app", "--access-logfile", fifo.path, "--timeout", 3, config=config)
    worker = server.worker_pids()
    get(server, 1500, "User-Agent: " + "x" * 1000)
    assert server.worker_pids() == worker
    server.wait_for_log(r"Log lines were dropped: [1-9]\d*, because nothing reads the log")
    until(lambda: len(re.findall('"x{1000}"\n', fifo.read())) > 900, "the buffered lines")
    get(server, 1, "User-Agent: afterwards")
    until(lambda: "afterwards" in fifo.read(), "a later line")
    assert re.sub('(formatted )?127[^\n]*"(x{1000}|afterwards)"\n', "", fifo.text) == ""


def test_unread_error_log_does_not_block_the_worker(fifo, start):
    server = start("many_clients:app", "--error-logfile", fifo.path, "--timeout", 3, ready=False,
                   bind=["unix:listener"])
    server.wait_for_log(r"^worker \d+ is ready$", since=0)
    server.addresses = [f"{server.directory}/listener"]
    until(lambda: "Booting worker" in fifo.read(), "the log of the start")
    for _ in range(90):
        client = server.connect()
        client.send(b"GET /" + b"x" * 2000 + b"\n\r\n\r\n")
        assert client.receive().status == 400
        client.close()
    get(server, 10, "X: y")
    until(lambda: fifo.read().count("Invalid request") == 90, "the buffered lines")


@needs_linux
@pytest.mark.parametrize("config", ["", FORMATTED], ids=["fast", "logging"])
def test_full_disk_does_not_stop_requests(start, config):
    """The error is reported at intervals, without the content of the lines."""
    server = start("many_clients:app", "--access-logfile", "/dev/full", "--access-logformat", "%(r)s %({cookie}i)s",
                   config=config)
    get(server, 50, "Cookie: secret=value")
    server.wait_for_log("The access log cannot be written .*No space left on device")
    assert len(server.log("The access log cannot be written")) == 1
    assert server.log("secret") == []


def test_each_pipelined_request_has_an_access_log_line(fifo, start):
    server = start("many_clients:app", "--access-logfile", fifo.path)
    client = server.connect()
    client.send(request("/one") + request("/two"))
    client.receive()
    client.receive()
    until(lambda: fifo.read().count("\n") == 2, "two lines")
    assert '"GET /one HTTP/1.1"' in fifo.text.splitlines()[0]
    assert '"GET /two HTTP/1.1"' in fifo.text.splitlines()[1]
