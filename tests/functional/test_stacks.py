"""``gworkers stacks``: what the greenlets of running workers do, also while the hub is blocked."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

from gworkers.inspection import command_line, stacks
from gworkers.watch.control_address import addresses
from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def server(serve):
    return serve("blocking:app")


@pytest.fixture
def ask(capsys):
    """``ask(words)``: the exit status of the command with these words, and what it has printed to stdout and stderr."""
    def ask(*words):
        try:
            status: object = command_line.stacks([str(word) for word in words])
        except SystemExit as error:
            status = error.code
        return status, *capsys.readouterr()

    return ask


def listening(server):
    """The workers of a server, when all have a control socket."""
    pids = sorted(server.worker_pids())
    until(lambda: {*pids} <= {each.pid for each in addresses()}, "the control sockets")
    return pids


def send(server, target):
    """Send a request whose response is not awaited."""
    client = server.connect()
    client.send(request(target))
    return client


@pytest.mark.smoke
def test_requests_are_listed_with_their_stacks(server, ask):
    pid, = listening(server)
    send(server, "/wait?5")
    # The first one waits when this one is answered.
    server.connect().request("/")
    status, out, _ = ask(pid)
    assert status == 0
    assert re.match(rf"Worker {pid}: 1 request, \d+ greenlets of the application, \d+ idle request greenlets?\n", out)
    assert re.search(r"\n\nGET /wait from 127\.0\.0\.1, \d\.\d s old, waiting\n"
                     r'    File ".*blocking\.py", line \d+, in app\n      time\.sleep\(seconds\)\n', out)


@pytest.mark.parametrize("kind", ["loop_in_python", "sleep_unpatched", "call_c"])
def test_blocked_worker_responds(server, ask, kind):
    pid, = listening(server)
    client = send(server, f"/{kind}?2")
    until(lambda: f"GET /{kind} from 127.0.0.1" in ask(pid)[1], "the request that blocks the hub")
    status, out, _ = ask(pid)
    assert status == 0
    assert re.search(rf'GET /{kind} from .* old, running\n(.*\n)+.*blocking\.py", line \d+, in {kind}\n', out)
    assert client.receive().body == b"ok"
    server.wait_for_log("The hub runs again")


def test_c_code_that_keeps_the_lock_of_the_interpreter_is_an_error(server, ask, monkeypatch):
    monkeypatch.setattr(stacks, "SECONDS", 0.5)
    pid, = listening(server)
    client = send(server, "/call_c_with_the_lock?3")
    until(lambda: ask(pid)[0] == 1, "an error")
    status, _, error = ask(pid)
    assert status == 1
    assert f"worker {pid} did not respond in 0.5 s. Most likely C code keeps the lock of its interpreter" in error
    server.wait_for_log(r"^Timeout ")
    assert client.receive().body == b"ok"


def test_greenlets_of_the_application_are_grouped(start, ask):
    server = start("blocking:app")
    pid, = listening(server)
    assert server.connect().request("/start_threads?25").body == b"ok"
    until(lambda: " 25 greenlets of the application, " in ask(pid)[1], "all greenlets")
    _, out, _ = ask(pid)
    assert out.count("in wait_long") == 1
    assert re.search(r"\n\n25 greenlets of the application, waiting\n", out)


def test_overdue_requests_are_named(start, ask):
    server = start("blocking:app", settings={"request_timeout": 0.2})
    send(server, "/wait?3")
    server.wait_for_log("Request timeout")
    _, out, _ = ask(*server.worker_pids())
    assert re.search(r"GET /wait from .* old, overdue\n", out)


def test_master_means_all_workers(start, ask, pidfile):
    server = start("blocking:app", "--pid", pidfile, workers=2)
    expected = [f"Worker {pid}: " for pid in listening(server)]
    host, port = server.address
    servers = [[server.pid], [pidfile]]
    if sys.platform == "linux":
        servers += [["--bind-name", f"{host}:{port}"], ["--bind-name", f"localhost:{port}"]]
    for words in servers:
        status, out, _ = ask(*words)
        assert status == 0
        assert re.findall(r"^Worker \d+: ", out, re.MULTILINE) == expected


@only_linux
@pytest.mark.only(transport="unix")
def test_server_is_found_by_its_unix_socket(server, ask):
    pid, = listening(server)
    send(server, "/wait?5")
    server.connect().request("/")
    status, out, _ = ask("--bind-name", f"unix:{server.address}")
    assert status == 0
    assert out.startswith(f"Worker {pid}: ")
    assert "\nGET /wait from a Unix socket, " in out


#: Greater than any process id on Linux and macOS. Process 1 may have adopted a worker of another server.
NO_PROCESS = str(2 ** 22 + 1)


@pytest.mark.only(hub="gevent")
@pytest.mark.parametrize(("words", "message"), [
    ([NO_PROCESS], "no gworkers worker was found"), (["/no/such/file"], "the pidfile /no/such/file cannot be read"),
    (["--bind-name", "127.0.0.1:9"], "no gworkers worker was found"), (["--bind-name", "x"], "x is not an address"),
    ([], "required"), (["1", "2"], "unrecognized")])
def test_wrong_server_is_an_error(ask, words, message):
    if words[:1] == ["--bind-name"] and sys.platform != "linux":
        pytest.skip("needs /proc")
    status, _, error = ask(*words)
    assert status == 2
    assert message in error


@only_linux
def test_stopped_worker_is_an_error(start, ask, monkeypatch):
    monkeypatch.setattr(stacks, "SECONDS", 0.5)
    server = start("blocking:app")
    pid, = listening(server)
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        until(lambda: ask(pid)[0] == 1, "an error")
        assert "is stopped by a signal or a debugger" in ask(pid)[2]
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)


def test_exit_at_once_ends_the_socket(start, ask):
    server = start("blocking:app")
    pid, = listening(server)
    server.signal(signal.SIGINT)
    server.wait_for_exit()
    assert ask(pid)[0] == 2


@pytest.mark.only(hub="gevent")
def test_command_works_in_a_process_of_its_own(server):
    pid, = listening(server)
    done = subprocess.run([sys.executable, "-m", "gworkers", "stacks", str(pid)], capture_output=True, text=True,
                          timeout=30, check=True)
    assert done.stdout.startswith(f"Worker {pid}: ")


def test_worker_without_a_control_socket_serves(start, ask):
    config = ("import gworkers.watch.control_address as addresses\n"
              "def new_name():\n    raise OSError('deliberate')\naddresses.new_name = new_name\n")
    server = start("blocking:app", config=config)
    server.wait_for_log(r"The control socket cannot be opened: deliberate")
    assert server.connect().request("/").body == b"ok"
    assert ask(*server.worker_pids())[0] == 2
