"""The examples of examples/deployment, with the real nginx, HAProxy and systemd tools."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from support.client import Client
from support.deployed_example import EXAMPLES, DeployedExample
from support.paths import ROOT
from support.requirements import free_ports, program
from support.waiting import WAIT_LIMIT, until
from support.websocket import greet, shake_hands

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxied(request: pytest.FixtureRequest) -> Iterator[DeployedExample]:
    """The webapp behind nginx, and behind HAProxy."""
    program(request.param)
    with DeployedExample(request.param) as example:
        yield example


class SteadyRequests:
    """Sends requests through *example* until the end of the ``with`` block.

    Attributes:
        statuses: those of the responses; 0 for none.
    """

    def __init__(self, example: Any) -> None:
        self.statuses: list[int] = []
        self._example = example
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(4)]

    def __enter__(self) -> SteadyRequests:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(WAIT_LIMIT)
            assert not thread.is_alive()

    def go_on(self, count: int) -> None:
        """Wait until so many more requests have been sent."""
        wanted = len(self.statuses) + count
        until(lambda: len(self.statuses) >= wanted, f"{count} more responses")

    def _ask(self) -> None:
        while not self._ended.is_set():
            try:
                with closing(self._example.connect()) as client:
                    self.statuses.append(client.request("/").status)
            except (OSError, AssertionError):
                self.statuses.append(0)


def test_large_upload_passes(proxied):
    with closing(proxied.connect()) as client:
        assert client.request("/upload", method="POST", body=bytes(20_000_000)).text == "20000000\n"


def test_events_arrive_one_by_one(proxied):
    with closing(proxied.connect()) as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: example\r\n\r\n")
        received = b""
        while b"data: 1\n\n" not in received:
            received += client.receive_once()
        assert b"data: 3" not in received


def test_websocket_echoes(proxied):
    with closing(proxied.connect()) as client:
        greet(shake_hands(client, "/echo"))


def test_application_sees_the_address_of_the_client_and_of_the_site(proxied):
    with closing(proxied.connect()) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: example.com:81\r\n\r\n")
        assert client.receive().text == "http://example.com:81/ requested by 127.0.0.1\n"


def test_reload_loses_no_request(proxied):
    with SteadyRequests(proxied) as load:
        for reload in range(1, 4):
            os.kill(proxied.master_pid, signal.SIGHUP)
            # The example has two workers.
            proxied.wait_for_log("Booting worker", 2 + 2 * reload)
            load.go_on(100)
    assert set(load.statuses) == {200}


def test_idle_connections_to_gunicorn_are_kept():
    """The address of the upstream is the client's port as Gunicorn sees it: the same one for many requests."""
    program("nginx")
    with DeployedExample("nginx") as example:
        for _ in range(20):
            with closing(example.connect()) as client:
                assert client.request("/").status == 200
        established = subprocess.run(
            [program("ss"), "-Htn", "state", "established", f"sport = :{example.ports['8000']}"],
            capture_output=True, text=True, check=True).stdout.splitlines()
        # Each process of nginx keeps its own, and the first request came from the check that it serves.
        assert 1 <= len(established) <= (os.cpu_count() or 1)


def test_haproxy_sends_no_request_to_a_server_that_stops():
    """The check fails while Gunicorn still accepts connections, so that a second server can take over."""
    program("haproxy")
    with DeployedExample("haproxy") as example, SteadyRequests(example) as load:
        load.go_on(20)
        os.kill(example.master_pid, signal.SIGTERM)
        until(lambda: "webapp/one is DOWN" in example.log(), "HAProxy notices")
        served = load.statuses.index(503) if 503 in load.statuses else len(load.statuses)
        assert set(load.statuses[:served]) == {200}
        assert "Connection refused" not in example.log().partition("is UP")[2]


@pytest.fixture
def systemd_directory(tmp_path: Path) -> Path:
    """The files of the example systemd, as if they were in /srv/webapp."""
    for name in ("webapp.service", "webapp.socket", "gunicorn.conf.py"):
        text = (EXAMPLES / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/srv/webapp", str(tmp_path)).replace("User=webapp", "User=root"))
    shutil.copy(EXAMPLES / "webapp.py", tmp_path)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    return tmp_path


def unit(path: Path, name: str) -> str:
    match = re.search(rf"^{name}=(.*)$", path.read_text(), re.MULTILINE)
    assert match
    return match[1]


def test_systemd_accepts_the_units(systemd_directory):
    done = subprocess.run([program("systemd-analyze"), "verify", "webapp.service", "webapp.socket"],
                          cwd=systemd_directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["shop-reload.path", "shop-reload.service", "gunicorn@shop.service"])
def test_systemd_accepts_the_units_of_the_page_on_uwsgi(name: str, tmp_path: Path) -> None:
    names = ("shop-reload.path", "shop-reload.service", "gunicorn@.service")
    units = re.findall(r"(?s)```ini\n(.*?)```", (ROOT / "docs/migrate/uwsgi.md").read_text())
    for file, text in zip(names, units):
        # Their programs do not exist here.
        (tmp_path / file).write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text))
    assert len(units) == len(names)
    done = subprocess.run([program("systemd-analyze"), "verify", name], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_starts_the_server_with_its_socket_and_reloads_it(systemd_directory):
    service = systemd_directory / "webapp.service"
    listener = systemd_directory / "listener"
    with ExitStack() as stack:
        notify = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        notify.bind(str(systemd_directory / "notify"))
        notify.settimeout(WAIT_LIMIT)
        process = subprocess.Popen(
            [program("systemd-socket-activate"), "--listen", str(listener), "-E",
             f"NOTIFY_SOCKET={systemd_directory}/notify", *shlex.split(unit(service, "ExecStart"))],
            cwd=unit(service, "WorkingDirectory"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        stack.callback(process.communicate)
        stack.callback(process.kill)
        until(listener.exists, "systemd listens")

        def expect(message: str) -> None:
            while message not in notify.recv(65536).decode():
                pass

        # The first connection starts the server.
        with closing(Client.connect(str(listener), WAIT_LIMIT)) as client:
            assert client.request("/").status == 200
        expect("READY=1")
        reload = unit(service, "ExecReload").replace("$MAINPID", str(process.pid))
        subprocess.run(shlex.split(reload), check=True)
        expect("RELOADING=1")
        expect("READY=1")
        with closing(Client.connect(str(listener), WAIT_LIMIT)) as client:
            assert client.request("/").status == 200
        process.terminate()
        expect("STOPPING=1")
        assert process.wait(WAIT_LIMIT) == 0


def manifests() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    with (EXAMPLES / "kubernetes" / "webapp.yaml").open() as file:
        return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(file)}


def test_kubernetes_manifests_match_the_schema():
    validate = pytest.importorskip("kubernetes_validate")
    for manifest in manifests().values():
        validate.validate(manifest, validate.latest_version(), strict=True)


class Pod:
    """A container of the Kubernetes example as processes of this machine: its command, its probes and its end."""

    def __init__(self, directory: Path) -> None:
        found = manifests()
        self._container = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        self.http, self.status = free_ports(2)
        config = found["ConfigMap"]["data"]["gunicorn.conf.py"]
        for port, own in (("0.0.0.0:8000", self.http), ("0.0.0.0:9000", self.status)):
            assert config.count(port) == 1
            config = config.replace(port, f"127.0.0.1:{own}")
        (directory / "gunicorn.conf.py").write_text(config)
        shutil.copy(EXAMPLES / "webapp.py", directory)
        command = [word.replace("/config/", f"{directory}/") for word in self._container["command"]]
        command[0] = str(Path(sys.executable).with_name(command[0]))
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def probe(self, name: str) -> bool:
        """Whether a probe of the manifest succeeds."""
        path = self._container[name]["httpGet"]["path"]
        try:
            with closing(Client.connect(("127.0.0.1", self.status), 2)) as client:
                return client.request(path).status == 200
        except (OSError, AssertionError):
            # Not in time.
            return False

    def stop(self) -> None:
        """What the kubelet does when the pod is deleted."""
        subprocess.run(self._container["lifecycle"]["preStop"]["exec"]["command"], check=True)
        self._process.terminate()
        assert self._process.wait(40) == 0, self._log.read_text()

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Service:
    """A Kubernetes Service: each connection goes to one of the ready pods."""

    def __init__(self) -> None:
        self.pods: list[Pod] = []
        self._next = 0

    def connect(self) -> Client:
        self._next += 1
        return Client.connect(("127.0.0.1", self.pods[self._next % len(self.pods)].http))


@pytest.mark.only(hub="gevent")
def test_rolling_update_of_kubernetes_loses_no_request(hub: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Three pods are replaced one by one. Each gets connections for a second after it was told to stop."""
    service = Service()
    with ExitStack() as stack:
        def start() -> Pod:
            pod = Pod(tmp_path_factory.mktemp("pod"))
            stack.callback(pod.kill)
            until(lambda: pod.probe("startupProbe") and pod.probe("readinessProbe") and pod.probe("livenessProbe"),
                  "the pod is ready")
            return pod

        service.pods = [start() for _ in range(3)]
        with SteadyRequests(service) as load:
            load.go_on(50)
            for _ in range(3):
                service.pods = [*service.pods, start()]
                old = service.pods[0]
                stopping = threading.Thread(target=old.stop)
                stopping.start()
                # The nodes are late: they still send connections to the old pod.
                load.go_on(50)
                service.pods = service.pods[1:]
                stopping.join(60)
                assert not stopping.is_alive()
            load.go_on(50)
        assert set(load.statuses) == {200}


def test_every_deployment_is_listed():
    listed = re.findall(r"^\| \[(\w+)\]\(\w+/", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


