"""The destinations of logs and metrics: files, levels, configurations of the logging module, syslog, statsd."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import gunicorn
import pytest

from support.launch import GUNICORN_SETTINGS
from support.server import Server
from support.waiting import WAIT_LIMIT, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def wait_for(pattern: str, path: Path) -> re.Match[str]:
    """Wait until the file contains the pattern."""
    def found() -> re.Match[str] | None:
        return re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None

    return until(found, f"{pattern!r} in {path}")


def found_in(log: Path, server: Server) -> Server:
    """Set the address of the server from its log file. Return the server."""
    listed = wait_for(r"Listening at: http://127\.0\.0\.1:(\d+) ", log)
    server.addresses = [("127.0.0.1", int(listed[1]))]
    return server


def test_logs_are_written_to_files(start: Start, tmp_path: Path) -> None:
    access, error = tmp_path / "access", tmp_path / "error"
    server = start("probe:app", "--access-logfile", access, "--error-logfile", error, ready=False)
    client = found_in(error, server).connect()
    assert client.request("/variable?name=A").status == 200
    wait_for(r'"GET /variable\?name=A HTTP/1\.1" 200 4 ', access)
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    wait_for(r"\[WARNING\] Invalid request from ip=127\.0\.0\.1: ", error)
    assert not server.log(r"\[(INFO|WARNING)\]|GET /")


def test_wsgi_errors_is_the_error_log(start: Start, tmp_path: Path) -> None:
    (tmp_path / "reporting.py").write_text(
        "def app(environ, start_response):\n"
        "    environ['wsgi.errors'].write('something is wrong\\n')\n"
        "    environ['wsgi.errors'].flush()\n"
        "    start_response('204 No Content', [])\n"
        "    return []\n")
    server = start("reporting:app", "--chdir", tmp_path)
    assert server.connect().request().status == 204
    server.wait_for_log("^something is wrong$")

    log = tmp_path / "error"
    server = found_in(log, start("reporting:app", "--chdir", tmp_path, "--error-logfile", log, ready=False))
    assert server.connect().request().status == 204
    wait_for("^something is wrong$", log)


def test_loglevel_debug_logs_the_configuration(start: Start) -> None:
    server = start("probe:app", "--log-level", "debug")
    assert server.connect().request().status == 200
    assert server.log(r"\[DEBUG\] Current configuration:")


def test_loglevel_hides_lower_levels(start: Start) -> None:
    server = start("probe:app", "--log-level", "critical", ready=False)
    server.wait_for_log(r"^worker \d+ is ready$")
    server.signal(signal.SIGTERM)
    server.wait_for_exit()
    assert not server.log(r"\[(DEBUG|INFO|WARNING|ERROR)\]")


def test_capture_output_redirects_to_the_error_log(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "error"
    server = found_in(log, start("probe:app", "--capture-output", "--error-logfile", log, ready=False))
    assert server.connect().request("/say?out=to-stdout&err=to-stderr").status == 200
    wait_for("^to-stdout$", log)
    wait_for("^to-stderr$", log)
    assert not server.log("to-std")


def test_output_is_not_redirected_by_default(start: Start) -> None:
    server = start("probe:app")
    assert server.connect().request("/say?out=to-stdout&err=to-stderr").status == 200
    server.wait_for_log("^to-stdout$")
    server.wait_for_log("^to-stderr$")


# Configurations of the logging module

INI = """
[loggers]
keys=root,gunicorn.error,gunicorn.access
[handlers]
keys=file
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=file
[logger_gunicorn.error]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=file
propagate=0
qualname=gunicorn.access
[handler_file]
class=FileHandler
formatter=plain
args=({file!r},)
[formatter_plain]
format=%(name)s says %(message)s
"""


def dictionary(file: Path) -> dict[str, object]:
    logger = {"level": "INFO", "handlers": ["file"], "propagate": False}
    return {
        "version": 1,
        "loggers": {"gunicorn.error": logger, "gunicorn.access": logger},
        "handlers": {"file": {"class": "logging.FileHandler", "formatter": "plain", "filename": str(file)}},
        "root": {"level": "INFO", "handlers": ["file"]},
        "formatters": {"plain": {"format": "%(name)s says %(message)s"}},
    }


@pytest.mark.parametrize("kind", ["logconfig", "logconfig_dict", "logconfig_json"])
def test_logconfig_is_applied(start: Start, tmp_path: Path, kind: str) -> None:
    log, described = tmp_path / "log", tmp_path / "described"
    if kind == "logconfig_dict":
        server = start("probe:app", config=f"logconfig_dict = {dictionary(log)!r}", ready=False)
    elif kind == "logconfig":
        described.write_text(INI.format(file=str(log)))
        server = start("probe:app", "--log-config", described, ready=False)
    else:
        described.write_text(json.dumps(dictionary(log)))
        server = start("probe:app", "--log-config-json", described, ready=False)
    assert found_in(log, server).connect().request("/variable?name=A").status == 200
    wait_for('^gunicorn.access says .*"GET /variable', log)
    wait_for("^gunicorn.error says Listening at", log)


# syslog and statsd use UDP.


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(WAIT_LIMIT)
        yield sock


def receive(receiver: socket.socket, pattern: str) -> re.Match[str]:
    """Wait for a datagram that contains the pattern."""
    seen = []
    deadline = time.monotonic() + WAIT_LIMIT
    while time.monotonic() < deadline:
        try:
            seen.append(receiver.recv(65536).decode())
        except socket.timeout:
            break
        if match := re.search(pattern, seen[-1]):
            return match
    raise AssertionError(f"no {pattern!r} in {seen}")


def pending(receiver: socket.socket) -> list[str]:
    receiver.setblocking(False)
    seen = []
    try:
        while True:
            seen.append(receiver.recv(65536).decode())
    except BlockingIOError:
        return seen
    finally:
        receiver.settimeout(WAIT_LIMIT)


def test_syslog_receives_errors_and_access(start: Start, receiver: socket.socket) -> None:
    server = start("probe:app", "--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{receiver.getsockname()[1]}",
                   "--log-syslog-prefix", "shop", "--log-syslog-facility", "local3")
    receive(receiver, r"^<158>gunicorn\.shop\.error: \[\d+\] Listening at: ")
    assert server.connect().request("/variable?name=A").status == 200
    # 19 (local3) * 8 + 6 (informational)
    receive(receiver, r'^<158>gunicorn\.shop\.access: \[\d+\] .*"GET /variable')


def test_syslog_receives_errors_only(start: Start, receiver: socket.socket) -> None:
    server = start("probe:app", "--log-syslog", "--log-syslog-to", f"udp://127.0.0.1:{receiver.getsockname()[1]}",
                   "--disable-redirect-access-to-syslog")
    client = server.connect()
    assert client.request("/variable?name=A").status == 200
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    datagrams: list[str] = []
    while not datagrams or "Invalid request" not in datagrams[-1]:
        datagrams.append(receiver.recv(65536).decode())
    assert not [line for line in datagrams if "GET /variable" in line]


def test_statsd_receives_requests(start: Start, receiver: socket.socket) -> None:
    server = start("probe:app", "--statsd-host", f"127.0.0.1:{receiver.getsockname()[1]}",
                   "--statsd-prefix", "shop", "--dogstatsd-tags", "where:here,who:me")
    tags = r"\|#where:here,who:me$"
    receive(receiver, rf"^shop\.gunicorn\.workers:1\|g{tags}")
    pending(receiver)
    assert server.connect().request("/spin?seconds=0.05").status == 200
    duration = receive(receiver, rf"^shop\.gunicorn\.request\.duration:([\d.]+)\|ms{tags}")
    assert 50 <= float(duration[1]) < 5000
    receive(receiver, rf"^shop\.gunicorn\.requests:1\|c\|@1\.0{tags}")
    receive(receiver, rf"^shop\.gunicorn\.request\.status\.200:1\|c\|@1\.0{tags}")


@pytest.mark.log_handler(raises="Gunicorn's statsd logger logs before it counts")
def test_statsd_receives_errors(start: Start, receiver: socket.socket) -> None:
    server = start("probe:app", "--statsd-host", f"127.0.0.1:{receiver.getsockname()[1]}")
    client = server.connect()
    assert client.request("/boom").status == 500
    server.expect_traceback("ValueError: asked for")
    receive(receiver, r"^gunicorn\.log\.exception:1\|c")
    receive(receiver, r"^gunicorn\.request\.status\.500:1\|c")
    client = server.connect()
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    receive(receiver, r"^gunicorn\.log\.warning:1\|c")


@pytest.mark.skipif("enable_backlog_metric" not in GUNICORN_SETTINGS, reason="this Gunicorn has no such setting")
@pytest.mark.skipif(gunicorn.version_info < (27,), reason="older releases of Gunicorn do not report an empty backlog")
def test_statsd_receives_the_backlog(start: Start, receiver: socket.socket) -> None:
    start("probe:app", "--enable-backlog-metric", "--statsd-host", f"127.0.0.1:{receiver.getsockname()[1]}")
    receive(receiver, r"^gunicorn\.backlog:\d+\|h$")
