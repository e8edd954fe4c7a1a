"""The setting worker_class, the settings of gworkers, and the settings that are refused at start."""

from __future__ import annotations

import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

import gworkers
from support.launch import GUNICORN_SETTINGS, WORKERS, hubs
from support.server import Server
from support.startup import class_name, configured, refusal

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


def head_timeout(server: Server) -> str:
    """Return "short" if head_timeout is less than 2 s, otherwise "long"."""
    client = server.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    client.sock.settimeout(2.0)
    try:
        assert b" 408 " in client.sock.recv(4096)
    except socket.timeout:
        client.send(b"Host: test\r\n\r\n")
        assert client.receive().status == 200
        return "long"
    return "short"


# worker_class


def test_worker_class_may_be_a_name(hub: str, start: Start) -> None:
    server = start("probe:app", worker_class="from config", config=f'worker_class = "{WORKERS[hub]}"')
    assert server.connect().request().status == 200
    assert server.log(f"Using worker: {WORKERS[hub]}$")


def test_worker_class_may_be_a_class(hub: str, start: Start) -> None:
    config = f"from gworkers import {class_name(hub)} as worker_class\n"
    server = start("probe:app", worker_class="from config", config=config)
    assert server.connect().request().status == 200
    assert server.log(f"Using worker: {class_name(hub)}$")


@pytest.mark.parametrize(("name", "expected"), [
    ("GevntWorker", "Did you mean gworkers.GeventWorker?"), ("geventworker", "Did you mean gworkers.GeventWorker?"),
    ("gevent", "Did you mean gworkers.GeventWorker?"), ("eventlet", "Did you mean gworkers.EventletWorker?"),
    ("EventletWroker", "Did you mean gworkers.EventletWorker?"),
    ("tornado", "Use gworkers.GeventWorker or gworkers.EventletWorker"),
])
@pytest.mark.sample(3)
def test_unknown_worker_class_is_refused(start: Start, hub: str, name: str, expected: str) -> None:
    if hub != hubs()[0]:
        pytest.skip("independent of the hub")
    line = refusal(start("probe:app", worker_class=f"gworkers.{name}", ready=False))
    assert f"gworkers has no worker class {name}: " in line
    assert expected in line


@pytest.mark.parametrize("name", ["worker", "files", "hubs", "cli"])
@pytest.mark.sample(2)
def test_module_as_the_worker_class_is_refused(start: Start, hub: str, name: str) -> None:
    if hub != hubs()[0]:
        pytest.skip("independent of the hub")
    line = refusal(start("probe:app", worker_class=f"gworkers.{name}", ready=False))
    assert f"worker_class is 'gworkers.{name}', " in line
    assert "Did you mean gworkers.GeventWorker or gworkers.EventletWorker?" in line


def test_other_missing_names_raise_attribute_error() -> None:
    """The import system and tools look up names that a module may lack, and expect an AttributeError."""
    names = [name for _, name, _ in pkgutil.iter_modules(gworkers.__path__)]
    code = (f"import gworkers, sys\nfor name in {names!r}:\n"
            "    known = f'gworkers.{name}' in sys.modules\n    assert hasattr(gworkers, name) == known, name\n"
            "assert not hasattr(gworkers, '__wrapped__')\nassert not hasattr(gworkers, '_repr_html_')\n"
            "from gworkers import *\nfrom gworkers import files, hubs\n"
            "import inspect, pickle\nassert inspect.getmembers(gworkers)\n"
            "assert pickle.loads(pickle.dumps(GeventWorker)) is gworkers.GeventWorker\n")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Settings of gworkers, in order of precedence. tests/unit/test_settings.py tests their values.


def test_default_of_a_gworkers_setting(start: Start) -> None:
    assert head_timeout(start("probe:app")) == "long"


def test_gworkers_setting_from_the_environment(start: Start) -> None:
    assert head_timeout(start("probe:app", settings={"head_timeout": 0.1})) == "short"


@pytest.mark.parametrize("config", [False, True], ids=["--env", "raw_env"])
def test_gworkers_setting_from_raw_env(start: Start, config: bool) -> None:
    if config:
        server = start("probe:app", config='raw_env = ["GWORKERS_HEAD_TIMEOUT=0.1"]\n')
    else:
        server = start("probe:app", "--env", "GWORKERS_HEAD_TIMEOUT=0.1")
    assert head_timeout(server) == "short"


@pytest.mark.smoke
def test_gworkers_setting_from_configure(hub: str, start: Start) -> None:
    server = start("probe:app", worker_class="from config", config=configured(hub, "head_timeout=0.1"))
    assert head_timeout(server) == "short"
    assert server.log(f"Using worker: {class_name(hub)}$")


def test_configure_wins_over_the_environment(hub: str, start: Start) -> None:
    server = start("probe:app", worker_class="from config", config=configured(hub, "head_timeout=7"),
                   settings={"head_timeout": 0.1})
    assert head_timeout(server) == "long"


@pytest.mark.parametrize(("name", "value"), [("head_timout", "1"), ("head_timeout", "soon"),
                                             ("discard_body_limit", "1.5"),
                                             ("request_greenlets", "recycled"), ("write_timeout", "-1")])
@pytest.mark.parametrize("by", ["environment", "--env"])
@pytest.mark.sample(4)
def test_invalid_variable_is_refused(start: Start, name: str, value: str, by: str) -> None:
    if by == "environment":
        server = start("probe:app", settings={name: value}, ready=False)
    else:
        server = start("probe:app", "--env", f"GWORKERS_{name.upper()}={value}", ready=False)
    assert name in refusal(server).lower()


def test_kubernetes_service_variables_are_ignored(start: Start) -> None:
    env = {"GWORKERS_PORT": "tcp://10.0.0.11:8000", "GWORKERS_PORT_8000_TCP": "tcp://10.0.0.11:8000",
           "GWORKERS_PORT_8000_TCP_PROTO": "tcp", "GWORKERS_SERVICE_HOST": "10.0.0.11", "GWORKERS_SERVICE_PORT": "8000"}
    assert head_timeout(start("probe:app", env=env, settings={"head_timeout": 0.1})) == "short"


def test_misspelled_variable_is_refused_beside_a_kubernetes_service(start: Start) -> None:
    env = {"GWORKERS_PORT": "tcp://10.0.0.11:8000", "GWORKERS_SERVICE_HOST": "10.0.0.11"}
    assert "'GWORKERS_HEAD_TIMOUT'" in refusal(start("probe:app", env=env, settings={"head_timout": 1}, ready=False))


@pytest.mark.parametrize("arguments", ["head_timout=1", "head_timeout='soon'", "discard_body_limit=None"])
@pytest.mark.smoke
def test_invalid_argument_of_configure_is_refused(hub: str, start: Start, arguments: str) -> None:
    server = start("probe:app", worker_class="from config", config=configured(hub, arguments), ready=False)
    assert arguments.partition("=")[0] in refusal(server)


# Settings of Gunicorn that gworkers does not support


@pytest.mark.parametrize(("name", "option", "value"), [
    ("http_protocols", "--http-protocols", "h2,h1"),
    ("http_protocols", "--http-protocols", "h2"),
    ("http2_cleartext", "--http2-cleartext", "prior-knowledge"),
    ("http2_cleartext", "--http2-cleartext", "upgrade"),
    ("http2_cleartext", "--http2-cleartext", "both"),
    ("protocol", "--protocol", "uwsgi"),
])
@pytest.mark.smoke
def test_unsupported_setting_of_gunicorn_is_refused(start: Start, name: str, option: str, value: str) -> None:
    if name not in GUNICORN_SETTINGS:
        pytest.skip(f"this Gunicorn has no setting {name}")
    assert name in refusal(start("probe:app", option, value, ready=False))


@pytest.mark.parametrize(("name", "option", "value"), [
    ("http_protocols", "--http-protocols", "h1"), ("http2_cleartext", "--http2-cleartext", "off"),
    ("protocol", "--protocol", "http"),
])
@pytest.mark.sample(1)
def test_default_of_an_unsupported_setting_is_accepted(start: Start, name: str, option: str, value: str) -> None:
    if name not in GUNICORN_SETTINGS:
        pytest.skip(f"this Gunicorn has no setting {name}")
    assert start("probe:app", option, value).connect().request().status == 200


def test_refused_start_leaves_no_files(start: Start, tmp_path: object) -> None:
    pidfile = f"{tmp_path}/pid"
    refusal(start("probe:app", "--pid", pidfile, settings={"head_timout": 1}, ready=False))
    assert not os.path.exists(pidfile)
