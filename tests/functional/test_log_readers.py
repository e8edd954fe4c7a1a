"""A log that cannot be written, or that nothing reads, costs log lines and nothing else."""

from __future__ import annotations

import os
import re
import sys

import pytest

from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full")

#: Another formatter than Gunicorn's, so that lines go through the logging module.
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


@pytest.mark.parametrize("config", ["", FORMATTED], ids=["short way", "logging"])
@pytest.mark.log_handler(waits="the handler is slower than the reader")
def test_access_log_that_nothing_reads(fifo, start, config):
    """Lines are kept up to 1 MiB, then dropped; the kept ones are complete when the reader comes back."""
    server = start("crowd:app", "--access-logfile", fifo.path, "--timeout", 3, config=config)
    worker = server.worker_pids()
    get(server, 1500, "User-Agent: " + "x" * 1000)
    assert server.worker_pids() == worker
    server.wait_for_log(r"[1-9]\d* log lines were dropped because nothing reads the log")
    until(lambda: len(re.findall('"x{1000}"\n', fifo.read())) > 900, "the lines that were kept")
    get(server, 1, "User-Agent: afterwards")
    until(lambda: "afterwards" in fifo.read(), "a line after that")
    assert re.sub('(formatted )?127[^\n]*"(x{1000}|afterwards)"\n', "", fifo.text) == ""


def test_error_log_that_nothing_reads(fifo, start):
    server = start("crowd:app", "--error-logfile", fifo.path, "--timeout", 3, ready=False, bind=["unix:listener"])
    server.wait_for_log(r"^worker \d+ is ready$", since=0)
    server.addresses = [f"{server.directory}/listener"]
    until(lambda: "Booting worker" in fifo.read(), "the log of the start")
    for _ in range(90):
        client = server.connect()
        client.send(b"GET /" + b"x" * 2000 + b"\n\r\n\r\n")
        assert client.receive().status == 400
        client.close()
    get(server, 10, "X: y")
    until(lambda: fifo.read().count("Invalid request") == 90, "the lines that were kept")


@needs_linux
@pytest.mark.parametrize("config", ["", FORMATTED], ids=["short way", "logging"])
def test_full_disk(start, config):
    """It is reported, now and then, without the cookies of each request."""
    server = start("crowd:app", "--access-logfile", "/dev/full", "--access-logformat", "%(r)s %({cookie}i)s",
                   config=config)
    get(server, 50, "Cookie: secret=value")
    server.wait_for_log("The access log cannot be written .*No space left on device")
    assert len(server.log("The access log cannot be written")) == 1
    assert server.log("secret") == []


def test_pipelined_requests_with_an_access_log_have_a_line_each(fifo, start):
    server = start("crowd:app", "--access-logfile", fifo.path)
    client = server.connect()
    client.send(request("/one") + request("/two"))
    client.receive()
    client.receive()
    until(lambda: fifo.read().count("\n") == 2, "two lines")
    assert '"GET /one HTTP/1.1"' in fifo.text.splitlines()[0]
    assert '"GET /two HTTP/1.1"' in fifo.text.splitlines()[1]
