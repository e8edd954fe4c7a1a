"""Agents that are loaded when Python starts: which of them are reported, and the fixes that the findings name."""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import pytest

from support.agents import OFFLINE, agent_environment
from support.server import Server
from support.startup import findings
from support.tls import Certificates
from support.waiting import until

Start = Callable[..., Server]

APP = """
import sys
import flask
app = flask.Flask(__name__)


@app.get("/")
def hello():
    return "hello"


@app.get("/recorded")
def recorded():
    "Whether New Relic's agent records requests."
    return str(sys.modules["newrelic.api.application"].application_instance().active)
"""


@pytest.fixture
def start_with(start: Start, tmp_path: Path) -> Start:
    """``start_with(env)``: a server with a Flask application."""
    (tmp_path / "hello.py").write_text(APP)

    def start_with(env: dict[str, str], settings: dict[str, object] | None = None) -> Server:
        # ddtrace imports psycopg, and New Relic imports grpcio, if they are installed.
        settings = {"silence": "driver-blocks", **(settings or {})}
        server = start("hello:app", "--chdir", tmp_path, env=env, settings=settings)
        assert server.connect().request().body == b"hello"
        return server

    return start_with


@pytest.mark.library("opentelemetry-distro", "opentelemetry-instrumentation-flask", area="Monitoring",
                     note="Load it in `post_patch`; see [checks](checks.md#imported-at-startup).")
def test_opentelemetry(start_with: Start, hub: str) -> None:
    """A worker loads it after the patch, and `opentelemetry-instrument` is reported with this fix."""
    loaded_early = agent_environment("opentelemetry-instrument")
    if hub == "gevent":
        assert findings(start_with(loaded_early)) == ["imported-at-startup"]
        patching = {"OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH": "patch_all"}
        assert findings(start_with(loaded_early | patching)) == []
    server = start_with(OFFLINE["opentelemetry-instrument"],
                        settings={"post_patch": "opentelemetry.instrumentation.auto_instrumentation:initialize"})
    assert findings(server) == []


class Collector(ThreadingHTTPServer):
    """New Relic's collector. ``methods`` are the names of the methods that agents have called."""

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(("127.0.0.1", 0), Collect)
        self.methods: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.both)
        self.socket = context.wrap_socket(self.socket, server_side=True)


class Collect(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"
    RESULTS = MappingProxyType({"preconnect": {"redirect_host": "localhost"}, "connect": {"agent_run_id": "1"}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        method = parse_qs(urlsplit(self.path).query)["method"][0]
        self.server.methods.append(method)
        body = json.dumps({"return_value": self.RESULTS.get(method)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as in http.server
        pass


@pytest.fixture
def collector(certificates: Certificates) -> Iterator[Collector]:
    with Collector(certificates) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.library("newrelic", area="Monitoring")
def test_new_relic(start_with: Start, collector: Collector, certificates: Certificates, tmp_path: Path) -> None:
    """`newrelic-admin run-program` needs no change: it sends its data over TLS."""
    # It imports these if it can. Other tests need them, and the worker reports imports before the patch.
    for package in ("grpc", "google/protobuf"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("raise ImportError\n")
    env = agent_environment("newrelic-admin", "run-program") | {
        "NEW_RELIC_DEVELOPER_MODE": "false", "NEW_RELIC_HOST": "localhost",
        "NEW_RELIC_PORT": str(collector.server_port), "NEW_RELIC_CA_BUNDLE_PATH": str(certificates.ca_certs)}
    env["PYTHONPATH"] += f"{os.pathsep}{tmp_path}"
    server = start_with(env)
    assert findings(server) == []
    client = server.connect()
    until(lambda: client.request("/recorded").body == b"True", "the connection of the agent")
    assert {client.request().status for _ in range(100)} == {200}
    server.stop()
    until(lambda: "analytic_event_data" in collector.methods, "the data of the requests")


@pytest.mark.library("ddtrace", area="Monitoring")
def test_ddtrace(start_with: Start) -> None:
    """`ddtrace-run` needs no change and is not reported."""
    assert findings(start_with(agent_environment("ddtrace-run"))) == []
