"""What the master does besides workers: daemon, control socket, dirty arbiter, configuration checks."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from support.client import Client
from support.launch import GUNICORN_SETTINGS, Setup
from support.server import Server
from support.waiting import WAIT_LIMIT, is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def test_daemon(start: Start, tmp_path: Path) -> None:
    log, pidfile = tmp_path / "log", tmp_path / "pid"
    server = start("probe:app", "--daemon", "--error-logfile", log, "--pid", pidfile, ready=False)
    assert server.wait_for_exit() == 0
    pid = until(lambda: pidfile.exists() and pidfile.read_text().strip(), "the pidfile")
    try:
        listed = until(lambda: re.search(r"Listening at: http://127.0.0.1:(\d+) ", log.read_text()), "a port")
        with closing(Client.connect(("127.0.0.1", int(listed[1])))) as client:
            seen = json.loads(client.request().body)
        assert seen["parent"] == int(pid)
        assert os.getsid(int(pid)) != os.getsid(0)
        # A daemon has no output. Its log has the lines of workers.
        assert "Booting worker" in log.read_text()
    finally:
        os.kill(int(pid), signal.SIGTERM)
        until(lambda: not pidfile.exists() and not is_alive(int(pid)), "the end of the daemon")


@pytest.mark.full
def test_daemon_that_keeps_its_output(start: Start, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    server = start("probe:app", "--daemon", "--enable-stdio-inheritance", "--pid", pidfile, ready=False)
    try:
        server.ready()
        assert server.connect().request("/say?out=to-stdout&err=to-stderr").status == 200
        server.wait_for_log("^to-stdout$")
        server.wait_for_log("^to-stderr$")
    finally:
        pid = int(until(lambda: pidfile.exists() and pidfile.read_text().strip(), "the pidfile"))
        os.kill(pid, signal.SIGTERM)
        until(lambda: not pidfile.exists() and not is_alive(pid), "the end of the daemon")


class Controlled(Setup):
    """A server with a control socket."""

    def command(self, directory: Path) -> list[str]:
        return [word for word in super().command(directory) if word != "--no-control-socket"]


@pytest.fixture
def run(hub: str, transport: str, parser: str) -> Iterator[Start]:
    """Start a server with a setup of the given kind. The test looks at its tracebacks."""
    with ExitStack() as stack:

        def run(kind: type[Setup], app: str, **more: Any) -> Server:
            server = Server(kind(app, hub, transport, parser, **more))
            stack.callback(server.stop)
            return server.ready()

        yield run


@pytest.mark.skipif("control_socket" not in GUNICORN_SETTINGS, reason="this Gunicorn has no control socket")
def test_control_socket(run: Start, tmp_path: Path) -> None:
    path = tmp_path / "control"
    options = ("--control-socket", str(path), "--control-socket-mode", "0o640")
    server = run(Controlled, "probe:app", options=options, workers=2)
    until(path.exists, "the control socket")

    def control(command: str) -> Any:
        said = subprocess.run(
            [sys.executable, "-m", "gunicorn.ctl.cli", "--socket", str(path), "--json", "--command", command],
            capture_output=True, text=True, check=True, timeout=WAIT_LIMIT)
        return json.loads(said.stdout)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {worker["pid"] for worker in control("show workers")["workers"]} == set(server.worker_pids())
    control("worker add")
    server.wait_for_log(r"^worker \d+ is ready$", count=3)
    assert server.connect().request().status == 200


@pytest.mark.skipif("control_socket" not in GUNICORN_SETTINGS, reason="this Gunicorn has no control socket")
@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.smoke
@pytest.mark.slow
@pytest.mark.full
def test_control_socket_is_the_only_one_after_reloads(run: Start, tmp_path: Path) -> None:
    """Gunicorn restarts the control server after each fork, and the next fork follows at once."""
    path = tmp_path / "control"
    server = run(Controlled, "probe:app", options=("--control-socket", str(path)), workers=2)
    files = Path(f"/proc/{server.pid}/fd")
    until(path.exists, "the control socket")
    few = len(os.listdir(files))
    for number in range(2, 7):
        server.signal(signal.SIGHUP)
        server.wait_for_log(r"^worker \d+ is ready$", count=2 * number)
    until(path.exists, "the control socket")
    until(lambda: len(os.listdir(files)) <= few, "as few file descriptors as before")


DIRTY = """
from gunicorn.dirty.app import DirtyApp

class Sums(DirtyApp):
    def init(self):
        self.calls = 0

    def add(self, a, b):
        self.calls += 1
        return [a + b, self.calls]
"""

DIRTY_CLIENT = """
import json
from gunicorn.dirty import get_dirty_client

def app(environ, start_response):
    answer = json.dumps(get_dirty_client().execute("sums:Sums", "add", 2, 3)).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.mark.skipif("dirty_apps" not in GUNICORN_SETTINGS, reason="this Gunicorn has no dirty arbiters")
def test_dirty_apps(run: Start, tmp_path: Path) -> None:
    # Not with `start`, which rejects tracebacks: Gunicorn's dirty arbiter may end with one.
    (tmp_path / "sums.py").write_text(DIRTY)
    (tmp_path / "asker.py").write_text(DIRTY_CLIENT)
    config = "def dirty_worker_init(worker):\n    worker.log.info('dirty worker is ready')\n"
    server = run(Setup, "asker:app", options=("--dirty-app", "sums:Sums", "--dirty-workers", "1"),
                 config=config, env=(("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path])),))
    server.wait_for_log("dirty worker is ready")
    client = server.connect()
    assert json.loads(client.request().body) == [5, 1]
    assert json.loads(client.request().body) == [5, 2]


def test_check_config(start: Start) -> None:
    server = start("probe:app", "--check-config", ready=False)
    assert server.wait_for_exit() == 0
    assert not server.log()


def test_print_config(start: Start) -> None:
    server = start("probe:app", "--print-config", "--keep-alive", 7, ready=False)
    assert server.wait_for_exit() == 0
    assert server.log(r"^keepalive +=\s*7$")
    assert server.log(r"^worker_class +=\s*gworkers\.")


class Unnamed(Setup):
    """A command line without an application."""

    def command(self, directory: Path) -> list[str]:
        return super().command(directory)[:-1]


def test_wsgi_app(run: Start) -> None:
    assert run(Unnamed, "", config='wsgi_app = "probe:app"\n').connect().request().status == 200


#: Settings of other worker classes or of protocols that are off, and settings without effect in Gunicorn itself.
IDLE_SETTINGS = {
    "threads": 4, "tmp_upload_dir": "/nonexistent", "ssl_version": "TLS_SERVER", "uwsgi_allow_ips": "192.0.2.1",
    "asgi_loop": "asyncio", "asgi_lifespan": "off", "asgi_disconnect_grace_period": 1, "root_path": "/elsewhere",
    "websocket_max_message_size": 1, "http2_max_concurrent_streams": 1, "http2_initial_window_size": 70000,
    "http2_max_frame_size": 20000, "http2_max_header_list_size": 1,
}


def test_settings_that_change_nothing(start: Start) -> None:
    known = {name: value for name, value in IDLE_SETTINGS.items() if name in GUNICORN_SETTINGS}
    server = start("echo:app", config="".join(f"{name} = {value!r}\n" for name, value in known.items()))
    seen = json.loads(server.connect().request("/a", headers=["X-Long: " + "x" * 100]).body)
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["wsgi.url_scheme"]) == ("", "/a", "http")
    assert server.log(r"Using worker: gworkers\.")


def test_gunicorn_cmd_args(start: Start) -> None:
    server = start("probe:app", env={"GUNICORN_CMD_ARGS": "--keep-alive=0 --env COLOUR=green"})
    response = server.connect().request("/variable?name=COLOUR")
    assert (json.loads(response.body), response.closes) == ("green", True)
