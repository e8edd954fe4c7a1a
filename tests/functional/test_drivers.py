"""The check for blocking drivers, with real drivers that pip installs for these tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import path
from support.requirements import unavailable
from support.server import Server
from support.startup import findings

pytestmark = [
    # The drivers are installed from the index. test_checks.py has what does not depend on them.
    pytest.mark.full,
    pytest.mark.only(transport="tcp", parser="fast"),
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="wheels are for CPython"),
]

Start = Callable[..., Server]
Load = Callable[..., Server]

#: The installed packages. Drivers that need more than pip are left out.
PACKAGES = ("grpcio", "mysql-connector-python", "oracledb", "psycogreen", "psycopg[binary]", "psycopg2-binary",
            "pymssql", "pymysql", "pyzmq")
#: Pure Python packages without a wheel.
SOURCES = ("psycogreen",)

#: the hubs that a module blocks
BLOCKING = {"grpc": {"gevent", "eventlet"}, "psycopg": {"eventlet"}, "psycopg2": {"gevent"},
            "pymssql": {"gevent", "eventlet"}, "zmq": {"gevent", "eventlet"}}
#: code that imports a driver and makes it cooperative
COOPERATIVE = [
    "import oracledb",
    "import os; os.environ['PSYCOPG_WAIT_FUNC'] = 'wait_selector'; import psycopg",
    "import pymysql",
    "import psycopg2.extensions; psycopg2.extensions.set_wait_callback(print)",
    "import pymssql; pymssql.set_wait_callback(print)",
]
GREEN = {
    "gevent": ["import zmq.green", "import grpc.experimental.gevent as own; own.init_gevent()"],
    "eventlet": ["import eventlet.green.zmq"],
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("drivers")
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--no-binary", ",".join(SOURCES),
         "--target", directory, *PACKAGES],
        capture_output=True, text=True, check=False)
    if pip.returncode:
        unavailable(f"pip cannot install {' '.join(PACKAGES)}: {pip.stderr.strip().splitlines()[-1]}")
    return directory


@pytest.fixture
def load(start: Start, installed: Path, tmp_path: Path) -> Load:
    """Return a function that starts an application with *code*, and checks that it serves without other findings."""

    def load(code: str, **settings: str) -> Server:
        (tmp_path / "shop.py").write_text(f"{code}\nfrom probe import app\n")
        server = start("shop:app", "--chdir", tmp_path, env={"PYTHONPATH": path(installed)}, settings=settings)
        assert server.connect().request().status == 200
        assert set(findings(server)) <= {"driver-blocks"}
        return server

    return load


def found(server: Server) -> list[str]:
    return server.log(r"\[driver-blocks\]$", since=0)


@pytest.mark.parametrize(("name", "hubs"), BLOCKING.items(), ids=BLOCKING)
def test_driver_is_reported_if_it_blocks(load: Load, hub: str, name: str, hubs: set[str]) -> None:
    lines = found(load(f"import {name}"))
    assert len(lines) == (hub in hubs)
    for line in lines:
        assert f" {name} waits for its server" in line


def test_mysql_connector_is_reported_with_its_extension(load: Load) -> None:
    # The extension in its wheel needs a newer OpenSSL than some systems have.
    server = load("import mysql.connector, sys\n"
                  "print('extension', mysql.connector.HAVE_CEXT, file=sys.stderr, flush=True)")
    (line,) = server.log("^extension ", since=0)
    assert len(found(server)) == (line == "extension True")


@pytest.mark.parametrize("code", COOPERATIVE, ids=lambda code: code.split()[-1])
def test_driver_with_a_workaround_is_not_reported(load: Load, code: str) -> None:
    assert found(load(code)) == []


def test_green_variant_of_a_driver_is_not_reported(load: Load, hub: str) -> None:
    for code in GREEN[hub]:
        assert found(load(code)) == []


def test_psycogreen_works_in_post_patch(load: Load, hub: str) -> None:
    server = load("import psycopg2.extensions, sys\n"
                  "print('waits in', psycopg2.extensions.get_wait_callback().__module__, file=sys.stderr, flush=True)",
                  post_patch=f"psycogreen.{hub}:patch_psycopg")
    assert server.log(f"^waits in psycogreen.{hub}$", since=0)
    assert found(server) == []


def test_grpc_init_works_in_post_patch(load: Load, hub: str) -> None:
    if hub != "gevent":
        pytest.skip("grpc does not support eventlet")
    assert found(load("import grpc", post_patch="grpc.experimental.gevent:init_gevent")) == []
