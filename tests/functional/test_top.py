"""``gworkers top``: what it prints, and its errors."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from support.client import request
from support.status_address import STACK, StatusAddress, request_in_flight, state, worker
from support.waiting import WAIT_LIMIT

EVIL = "/\x1b[2J\x9b1m\u202e\r\nGET \x07\x7f"


def command(*words):
    return [sys.executable, "-m", "gworkers", "top", *words]


def environment(**more):
    return {**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "180", "LINES": "50", **more}


def top(*words, **more):
    return subprocess.run(command(*words), capture_output=True, encoding="utf-8", timeout=60, check=False,
                          env=environment(**more))


@pytest.fixture
def address():
    waiting = request_in_flight("/orders", age=12.0, state="overdue")
    shown = state(worker(1, blocked=3.25), worker(3, published=9.0),
                  worker(2, in_flight=2, in_flight_requests=[request_in_flight(EVIL), waiting]),
                  blocks=[{"at": time.time(), "seconds": 2.1, "worker": 1, "pid": 4101, "place": "views.py:7 in total",
                           "request": "GET /total from 192.0.2.7", "stack": STACK}],
                  reloads=[{"at": time.time(), "generation": 2, "outcome": "refused", "seconds": 0.5}])
    with StatusAddress(shown) as served:
        yield served


@pytest.mark.smoke
def test_once_prints_one_snapshot(address):
    pytest.importorskip("rich")
    result = top("--once", address.address)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("gworkers 0.1.0  serving  generation 1  master 4100")
    assert re.search(r"^ +1 +■ ready, blocked for 3\.2 s +4101 ", result.stdout, re.MULTILINE)
    assert re.search(r"^ +3 +▲ ready, no report for 9\.0 s +4103 ", result.stdout, re.MULTILINE)
    assert re.search(r"12\.\d s +▲ overdue +2 +GET /orders from 192\.0\.2\.7:41000 *\n"
                     r" +/srv/shop/views.py:12 in checkout", result.stdout)
    assert result.stdout.count("httpx/_client.py:1144 in post") == 3
    assert re.search(r"3\.2 s, not ended +1 +GET /total from 192\.0\.2\.7 *\n"
                     r" +/srv/shop/views.py:12 in checkout", result.stdout)
    assert "✗ refused" in result.stdout


@pytest.mark.parametrize("option", ["--once", "--json"])
def test_control_characters_of_a_path_do_not_reach_the_terminal(address, option):
    pytest.importorskip("rich")
    printed = top(option, address.address).stdout
    assert "[2J" in printed
    assert [char for char in printed if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_narrow_terminal_keeps_the_state_of_workers(address, columns):
    pytest.importorskip("rich")
    lines = top("--once", address.address, COLUMNS=str(columns)).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert [line for line in lines if "■ ready, blocked for 3.2 s" in line]


def test_terminal_without_unicode_gets_escapes(address):
    pytest.importorskip("rich")
    result = top("--once", address.address, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert r"\u25a0 ready, blocked for 3.2 s" in result.stdout


def test_json_is_the_state(address):
    printed = json.loads(top("--json", address.address).stdout)
    printed["server"].pop("now")
    address.state["server"].pop("now")
    assert printed == address.state


def test_pipe_gets_one_snapshot(address):
    pytest.importorskip("rich")
    assert "Workers" in top(address.address).stdout


def enable_interrupts() -> None:
    """A shell starts its background jobs with SIGINT ignored, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_terminal_is_updated_until_an_interrupt(address):
    pytest.importorskip("rich")
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command(address.address), stdin=theirs, stdout=theirs, stderr=theirs,
                               env=environment(TERM="xterm"), start_new_session=True, preexec_fn=enable_interrupts)
    os.close(theirs)
    shown = b""

    def read_until(text):
        nonlocal shown
        deadline = time.monotonic() + WAIT_LIMIT
        while text.encode() not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)

    try:
        read_until("serving")
        address.state["server"]["state"] = "reloading"
        read_until("reloading")
        address.status = 503
        read_until("responds to /state.json with status 503")
        address.status, address.state["server"]["state"] = 200, "stopping"
        read_until("stopping")
        process.send_signal(2)
        deadline = time.monotonic() + WAIT_LIMIT
        # A terminal that is not read blocks the command.
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    os.read(terminal, 65536)
        assert process.poll() == 130
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert b"\x1b]" not in shown


def refused_address():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("option", ["--once", "--json"])
def test_address_that_does_not_answer(option):
    address = refused_address()
    result = top(option, address)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"gworkers top: {address} does not answer: Connection refused. Check that the server runs, and that the "
        "setting status_address has this value\n")


def test_unix_socket_that_does_not_exist(tmp_path):
    result = top("--json", f"unix:{tmp_path}/nothing")
    assert (result.returncode, result.stdout) == (1, "")
    assert "does not answer: No such file or directory" in result.stderr


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n{}",
                                    b"HTTP/1.1 404 Not Found\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16"])
def test_other_programs_are_recognized(tmp_path, answer):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        process = subprocess.Popen(command("--json", f"unix:{tmp_path}/s"), stderr=subprocess.PIPE, text=True)
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(answer)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert error.startswith(f"gworkers top: unix:{tmp_path}/s ")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("address", ["8000", "localhost", "localhost:http", ":9000", "::1:9000", "unix:", "host:99999"])
def test_invalid_address(address):
    result = top("--json", address)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"gworkers top: {address!r} ")


def test_missing_rich_is_reported(address):
    code = "import sys; sys.modules['rich'] = None; from gworkers.cli import main; sys.exit(main())"
    result = subprocess.run([sys.executable, "-c", code, "top", "--once", address.address],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "gworkers[doctor]" in result.stderr


@pytest.mark.smoke
@pytest.mark.only(transport="tcp", parser="fast")
def test_top_shows_a_real_server_over_a_unix_socket(start):
    pytest.importorskip("rich")
    server = start("blocking:app", workers=2, settings={"status_address": "unix:status.sock"})
    address = f"unix:{server.directory}/status.sock"
    client = server.connect()
    os.mkfifo(server.directory / "fifo")
    client.send(request("/open_fifo"))
    server.wait_for_log("The hub is blocked for ")
    shown = top("--once", address)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.search(r"■ ready, blocked for \d+\.\d s", shown.stdout)
    assert "GET /open_fifo" in shown.stdout
    assert re.search(r"\d s, not ended .*\n(.*\n)* +\S+blocking\.py:\d+ in open_fifo", shown.stdout)
    (server.directory / "fifo").write_bytes(b"")
    assert client.receive().body == b"ok"
    workers = json.loads(top("--json", address).stdout)["workers"]
    assert {each["pid"] for each in workers} == set(server.worker_pids())
