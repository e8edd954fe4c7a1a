"""What users of gevent.pywsgi, eventlet.wsgi and Gunicorn's own green workers change, beyond what other tests cover."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from support.client import Client, request
from support.script import APP, PATCHES, call
from support.server import Server
from support.waiting import until

Start = Callable[..., Server]

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: What is usual in a configuration for Gunicorn's green workers.
CONFIG = """
bind = ["127.0.0.1:0"]
workers = 2
worker_class = "{worker}"
worker_connections = 500
keepalive = 5
timeout = 60
graceful_timeout = 20
max_requests = 10000
max_requests_jitter = 100
accesslog = "-"
access_log_format = '%(h)s %(r)s %(s)s %(L)s'
loglevel = "info"
limit_request_line = 8190
forwarded_allow_ips = "127.0.0.1"
secure_scheme_headers = {{"X-FORWARDED-PROTO": "https"}}
proc_name = "site"

def post_fork(server, worker):
    worker.log.info("post_fork %s", worker.age)

def worker_exit(server, worker):
    worker.log.info("worker_exit %s", worker.age)
"""


@pytest.mark.every_hub
@pytest.mark.smoke
def test_configuration_for_gunicorns_worker_needs_another_class_only(start: Start, hub: str) -> None:
    worker = {"gevent": "gworkers.GeventWorker", "eventlet": "gworkers.EventletWorker"}[hub]
    server = start("probe:app", config=CONFIG.format(worker=worker), worker_class="from config", workers=2,
                   bind=["from config"])
    response = server.connect().request("/?x=" + "a" * 5000)
    assert response.status == 200
    server.wait_for_log(r"^127\.0\.0\.1 GET /\?x=a+ HTTP/1\.1 200 0\.\d+$")
    server.wait_for_log("post_fork 1", since=0)
    server.stop()
    assert server.log("worker_exit 1", since=0)


@pytest.mark.full
def test_script_serves_https(run_script: Start, hub: str, certificate: Path, trusting: ssl.SSLContext) -> None:
    server = run_script(APP + call(f"app, certfile={str(certificate)!r}", hub))
    assert isinstance(server.address, tuple)
    with socket.create_connection(server.address) as plain, \
            trusting.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        assert Client(sock).request().status == 200


@pytest.mark.full
def test_script_serves_on_a_socket_that_it_has_opened(run_script: Start, hub: str) -> None:
    opened = "import socket\nopened = socket.create_server(('127.0.0.1', 0))\n"
    server = run_script(opened + PATCHES[hub] + APP + call("app", hub, bind="f'fd://{opened.fileno()}'"))
    assert server.connect().request().status == 200


@pytest.mark.full
def test_script_adds_entries_to_each_environ(run_script: Start, hub: str) -> None:
    """WSGIServer and eventlet.wsgi.server have an argument for this."""
    app = """
import json
def app(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps([environ["site.name"], environ["wsgi.multithread"]]).encode()]
def with_entries(environ, start_response):
    return app({**environ, "site.name": "main"}, start_response)
"""
    server = run_script(app + call("with_entries", hub))
    assert json.loads(server.connect().request().body) == ["main", True]


@pytest.mark.full
def test_pool_of_requests_is_max_active_requests(run_script: Start, hub: str) -> None:
    """WSGIServer(spawn=5) serves five connections at once; here the next request gets 503, or waits in a queue."""
    waits = APP.replace("import os", "import io, os").replace("    start", """
    if environ['PATH_INFO'] == '/wait':
        io.FileIO(2, 'w', closefd=False).write(b'waits\\n')
        environ['gworkers.wait_client_gone'](20)
    start""")
    server = run_script(PATCHES[hub] + waits + call("app, max_active_requests=2", hub))
    first, second = server.connect(), server.connect()
    first.send(request("/wait"))
    second.send(request("/wait"))
    server.wait_for_log("^waits$", count=2)
    assert server.connect().request().status == 503
    first.close()
    until(lambda: server.connect().request().status == 200, "a request is served again")
