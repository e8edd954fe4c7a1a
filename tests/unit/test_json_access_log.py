"""The lines of the access log as JSON: whatever the peer sends, each one is an object on one line."""

from __future__ import annotations

import json
import logging
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.serving import json_access_log
from gworkers.serving.json_access_log import JsonAccessLog, text

pytestmark = pytest.mark.smoke

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Queue:
    """Calls at once, in a context of its own."""

    def __init__(self):
        self.errors = []

    def enqueue(self, function, *args):
        copy_context().run(function, *args)

    def error(self, message, *args):
        self.errors.append(message % args)


class Logger(logging.Handler):
    """Stands for a logger class of the application, which derives its line from Gunicorn's."""

    def __init__(self):
        super().__init__()
        self.access_log = logging.Logger("access")
        self.access_log.addHandler(self)
        self.lines: list[str] = []

    def emit(self, record):
        self.lines.append(self.format(record))

    def access(self, response, request, environ, duration):
        self.access_log.info("%(a)s", {"a": "the format"})


def record(*, fields=None, hub_time=None, length=0, **environ):
    """Record a request. Return the logger and the log queue."""
    request: Any = SimpleNamespace(fields=fields or {}, method="GET", path="/p%20q", query="a=%22", version=(1, 1),
                                   length=length)
    response: Any = SimpleNamespace(status="200 OK", status_code=200, sent=12, hub_time=hub_time)
    logger = Logger()
    queue: Any = Queue()
    JsonAccessLog(logger, queue).record(response, request, {"REMOTE_ADDR": "127.0.0.1", **environ}, 1.5)
    return logger, queue


def line(**named):
    """Return the object that is logged for a request."""
    logger, queue = record(**named)
    assert queue.errors == []
    assert len(logger.lines) == 1
    assert logger.lines[0].isascii()
    assert logger.lines[0].isprintable()
    return json.loads(logger.lines[0])


def test_standard_fields():
    found = line(fields={"HTTP_HOST": "example.org", "HTTP_REFERER": "http://a/", "HTTP_USER_AGENT": "me"}, length=7)
    del found["time"], found["pid"]
    assert found == {
        "remote_addr": "127.0.0.1", "method": "GET", "path": "/p%20q", "query": "a=%22", "protocol": "HTTP/1.1",
        "status": 200, "response_bytes": 12, "request_bytes": 7, "duration": 1.5, "host": "example.org",
        "referer": "http://a/", "user_agent": "me"}


def test_time_is_utc_with_milliseconds(monkeypatch):
    for now, expected in ((0.9996, "1970-01-01T00:00:00.999Z"), (1.0015, "1970-01-01T00:00:01.001Z"),
                          (1800000000.5, "2027-01-15T08:00:00.500Z")):
        monkeypatch.setattr(json_access_log, "time", lambda now=now: now)
        assert line()["time"] == expected


def test_hub_time_and_waiting_time_make_up_the_duration():
    found = line(hub_time=0.25)
    assert (found["duration"], found["hub_time"], found["wait_time"]) == (1.5, 0.25, 1.25)


def test_body_of_unknown_length_has_no_number_of_bytes():
    assert "request_bytes" not in line(length=None)


@pytest.mark.parametrize(("number", "expected"), [("3", 3), ("", None), ("three", None), ("\u0663", None)])
def test_number_of_the_worker(monkeypatch, number, expected):
    monkeypatch.setenv("GWORKERS_NUMBER", number)
    assert line().get("worker") == expected


@pytest.mark.parametrize("value", [
    f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-ff", f"cc-{TRACE}-{PARENT}-01"])
def test_valid_traceparent(value):
    assert line(fields={"HTTP_TRACEPARENT": value})["traceparent"] == value


def test_traceparent_of_a_later_version_is_reduced_to_its_known_part():
    value = f"01-{TRACE}-{PARENT}-01"
    assert line(fields={"HTTP_TRACEPARENT": f'{value}-"more"\xff'})["traceparent"] == value


@pytest.mark.parametrize("value", [
    "", "x", f"ff-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE.upper()}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01-more", f"00-{TRACE}-{PARENT}-0",
    f"01-{TRACE}-{PARENT}-01more", f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01\n",
    f"00-{TRACE[1:]}-{PARENT}-01", f"\u0660\u0660-{TRACE}-{PARENT}-01"])
def test_malformed_traceparent_is_left_out(value):
    assert "traceparent" not in line(fields={"HTTP_TRACEPARENT": value})


@pytest.mark.parametrize(("value", "expected"), [
    ("plain", "plain"),
    ("\xc3\xa9", "\xe9"),
    ("\xf0\x9f\x90\x8d", "\U0001f40d"),
    ("\xff\xc3\xa9", "\xff\xc3\xa9"),
    ("\u20ac", "\u20ac"),
    ("/run/\udcff", "/run/\\udcff"),
    (None, "None"),
    ('"\\\n\r\t\0\x7f\x1b', '"\\\n\r\t\0\x7f\x1b'),
    ("\xc2\x85\xe2\x80\xa8", "\x85\u2028")])
def test_text(value, expected):
    found = text(value)
    assert found.isascii()
    assert found.isprintable()
    assert json.loads(found) == expected


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_stays_on_its_line(byte):
    value = f'a{chr(byte)}"b'
    found = line(fields={"HTTP_USER_AGENT": value, "HTTP_REFERER": value, "HTTP_HOST": value}, REMOTE_ADDR=value)
    assert found["user_agent"] == found["referer"] == found["host"] == found["remote_addr"] == value


def test_cookies_and_credentials_are_left_out():
    fields = {"HTTP_COOKIE": "secret", "HTTP_AUTHORIZATION": "secret", "HTTP_PROXY_AUTHORIZATION": "secret"}
    assert "secret" not in json.dumps(line(fields=fields, REMOTE_USER="secret"))


def test_value_that_cannot_be_text_loses_the_line_only():
    class Unprintable:
        def __str__(self):
            raise ValueError("no text")

    logger, queue = record(REMOTE_ADDR=Unprintable())
    assert logger.lines == []
    assert queue.errors[0].startswith("The access log cannot be written (ValueError: no text)")


def test_other_records_of_the_logger_are_unchanged():
    logger, _ = record()
    del logger.lines[:]
    logger.access_log.info("own %s", "message")
    assert logger.lines == ["own message"]
