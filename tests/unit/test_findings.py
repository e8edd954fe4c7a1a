"""The findings for given facts. tests/functional/test_checks.py tests the facts."""

from __future__ import annotations

import functools
import gc
import inspect
import os
import re
import resource
import socket
import sys
import tempfile
import threading
import time
import types
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import greenlet
import gunicorn
import pytest
from gunicorn.config import Config

import gworkers
from gworkers.checks import (
    cancellation,
    config_file,
    database_connections,
    deployment,
    drivers,
    engineio,
    importers,
    originals,
    patching,
    requirements,
)
from gworkers.checks.application import check as check_application
from gworkers.checks.configuration import check_gunicorn
from gworkers.checks.requirements import Runtime
from gworkers.findings import CODES, Finding
from gworkers.settings import Settings
from gworkers.versions import parse_version
from support.paths import ROOT

pytestmark = pytest.mark.smoke

DOCUMENTATION = ROOT / "docs" / "checks.md"

FINE = Runtime(pypy=None, greenlet="3.2.0", isolates_contexts=True, library="gevent", release="25.9.1")


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


# requirements


@pytest.mark.parametrize(("changed", "code"), [
    ({}, None),
    ({"library": "eventlet", "release": "0.41.2", "greenlet": "1.0"}, None),
    ({"library": "eventlet", "release": "0.41.2", "greenlet": "1.0.0rc1"}, None),
    ({"greenlet": "0.4.17"}, "greenlet-old"),
    ({"greenlet": "0.4.17", "isolates_contexts": False}, "greenlet-old"),
    ({"greenlet": None, "isolates_contexts": False}, "greenlet-missing"),
    ({"greenlet": None, "isolates_contexts": False, "greenlet_error": "ImportError"}, "greenlet-broken"),
    ({"isolates_contexts": False}, "contexts-shared"),
    ({"pypy": (7, 3, 7), "greenlet": "0.4.13"}, None),
    ({"pypy": (7, 3, 11), "greenlet": "0.4.13"}, None),
    ({"pypy": (7, 3, 6), "greenlet": "0.4.13"}, "pypy-old"),
    ({"pypy": (7, 2, 0), "greenlet": "0.4.13", "isolates_contexts": False}, "pypy-old"),
    ({"pypy": (7, 3, 11), "greenlet": "0.4.13", "isolates_contexts": False}, "contexts-shared"),
    ({"release": None}, "library-missing"),
    ({"release": "24.10.3"}, None),
    ({"release": "24.10.2"}, "library-old"),
    ({"greenlet": "1.1.3"}, "library-incompatible"),
    ({"greenlet": "2.0"}, None),
    ({"greenlet": "3.3.2"}, None),
    ({"greenlet": "3.4.0"}, "library-incompatible"),
    ({"greenlet": "3.5.0"}, None),
    ({"greenlet": "3.5.1"}, "library-incompatible"),
    ({"release": "26.4.0", "greenlet": "3.5.6"}, "library-incompatible"),
    ({"release": "26.5.0", "greenlet": "3.5.6"}, None),
    ({"release": "26.9.0", "greenlet": "3.4.0"}, "library-incompatible"),
    ({"release": "26.9.0", "greenlet": "1.1.3"}, "library-incompatible"),
    ({"pypy": (7, 3, 11), "greenlet": "0.4.13", "release": "24.10.3"}, None),
    ({"library": "eventlet", "release": "0.40.3"}, None),
    ({"library": "eventlet", "release": "0.40.2"}, "library-old"),
    ({"library": "eventlet", "release": "0.41.1", "greenlet": "3.5.1"}, "library-incompatible"),
    ({"library": "eventlet", "release": "0.41.2", "greenlet": "3.5.1"}, None),
    ({"library": "eventlet", "release": "0.41.1", "greenlet": "3.5.0"}, None),
])
def test_requirements(changed: dict[str, object], code: str | None) -> None:
    found = requirements.check(replace(FINE, **changed))  # type: ignore[arg-type]
    assert codes(found) == ([code] if code else [])
    for finding in found:
        assert finding.fatal == (code != "library-incompatible" or changed["greenlet"] == "1.1.3")
        assert str(finding).isprintable()


def test_current_runtime_meets_the_requirements() -> None:
    runtime = requirements.inspect_runtime("gevent")
    assert runtime.isolates_contexts
    assert runtime.greenlet == greenlet.__version__


def test_old_pypy_is_recognized_by_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pypy_version_info", (7, 3, 6, "final", 0), raising=False)
    found = codes(requirements.check(requirements.inspect_runtime("gevent")))
    assert found in (["pypy-old"], ["pypy-old", "library-missing"])


@pytest.mark.skipif(hasattr(sys, "pypy_version_info"), reason="greenlet is part of PyPy")
def test_incompletely_removed_greenlet_counts_as_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "greenlet", types.ModuleType("greenlet"))
    finding = requirements.check(requirements.inspect_runtime("gevent"))[0]
    assert finding.code == "greenlet-broken"
    assert "no attribute 'greenlet'" in finding.problem

    monkeypatch.setattr(requirements, "installed_version", {"gevent": "25.9.1"}.get)
    assert codes(requirements.check(requirements.inspect_runtime("gevent"))) == ["greenlet-missing"]


def test_context_isolation_is_tried() -> None:
    class Sharing(greenlet.greenlet):
        def switch(self, *args: object) -> object:
            self.gr_context = greenlet.getcurrent().gr_context
            return super().switch(*args)

    fake = types.SimpleNamespace(greenlet=Sharing, getcurrent=greenlet.getcurrent)
    assert requirements.isolates_contexts(greenlet)
    if sys.implementation.name == "cpython":
        assert not requirements.isolates_contexts(fake)


@pytest.mark.parametrize(("text", "numbers"), [
    ("1.0", (1, 0)), ("3.0.0rc1", (3, 0, 0)), ("25.9.1.post2", (25, 9, 1)), ("1.0+local.3", (1, 0)), ("unknown", ())])
def test_version_is_parsed_to_its_leading_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_version(text) == numbers


# deployment


def configuration(**settings: object) -> Config:
    config = Config()
    for name, value in {"user": "nobody", **settings}.items():
        config.set(name, value)
    return config


@pytest.mark.parametrize(("settings", "found"), [
    ({}, []),
    ({"bind": "0.0.0.0:80", "keepalive": 75}, []),
    ({"bind": "0.0.0.0:80", "keepalive": 75, "forwarded_allow_ips": "*"}, ["trusts-everyone"]),
    ({"bind": "[::]:80", "keepalive": 75, "forwarded_allow_ips": "*"}, ["trusts-everyone"]),
    ({"bind": ":80", "keepalive": 75, "forwarded_allow_ips": "*"}, ["trusts-everyone"]),
    ({"bind": "0:80", "keepalive": 75, "forwarded_allow_ips": "*"}, ["trusts-everyone"]),
    ({"bind": "[::ffff:0.0.0.0]:80", "keepalive": 75, "forwarded_allow_ips": "*"}, ["trusts-everyone"]),
    ({"bind": "127.0.0.1:80", "forwarded_allow_ips": "*"}, []),
    ({"bind": "unix:/tmp/socket", "forwarded_allow_ips": "*"}, []),
    ({"bind": "10.0.0.1:80"}, ["keepalive-short"]),
    ({"bind": "10.0.0.1:80", "keepalive": 0}, []),
    ({"bind": "10.0.0.1:80", "keepalive": 59}, ["keepalive-short"]),
    ({"bind": "10.0.0.1:80", "keepalive": 60}, []),
    ({"bind": "no-such-host.invalid:80"}, ["keepalive-short"]),
    ({"bind": "localhost:80"}, []),
    ({"bind": "[::ffff:127.0.0.1]:80"}, []),
    ({"worker_connections": 10 ** 9}, ["open-file-limit"]),
])
def test_deployment_warnings(settings: dict[str, object], found: list[str]) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] == resource.RLIM_INFINITY and "open-file-limit" in found:
        pytest.skip("open files are not limited here")
    assert codes(deployment.check(configuration(**settings), "gevent")) == found


@pytest.mark.parametrize(("keepalive", "found"), [(75, ["keepalive-short"]), (100, [])])
def test_keepalive_is_compared_with_that_of_heroku(
        monkeypatch: pytest.MonkeyPatch, keepalive: int, found: list[str]) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    findings = deployment.check(configuration(bind="0.0.0.0:80", keepalive=keepalive), "gevent")
    assert codes(findings) == found
    for finding in findings:
        assert "Heroku's router keeps idle connections open for 90 s" in finding.problem
        assert finding.fix.endswith("--keep-alive 105")


@pytest.mark.skipif(gunicorn.version_info < (25, 1), reason="this Gunicorn has no control socket")
@pytest.mark.parametrize(("path", "disabled", "reason"), [
    ("gunicorn.ctl", False, None), ("new/directory/gunicorn.ctl", False, None), (f"{'x' * 200}/ctl", True, None),
    (f"{'x' * 200}/ctl", False, "the path has more than"), ("file/gunicorn.ctl", False, "Gunicorn may not write to"),
])
def test_control_socket_that_cannot_be_created_is_a_warning(
        tmp_path: Path, path: str, disabled: bool, reason: str | None) -> None:
    (tmp_path / "file").touch()
    config = configuration(control_socket=str(tmp_path / path), control_socket_disable=disabled)
    findings = deployment.check(config, "gevent")
    assert codes(findings) == ["control-socket"] * (reason is not None)
    for finding in findings:
        assert reason in finding.problem


@pytest.mark.skipif(gunicorn.version_info < (25, 1), reason="this Gunicorn has no control socket")
def test_control_socket_in_a_directory_of_another_user_is_a_warning() -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o555)
        config = configuration(control_socket=f"{directory}/.gunicorn/gunicorn.ctl")
        with not_root():
            (finding,) = deployment.check(config, "gevent")
    assert f"Gunicorn may not write to {directory}" in finding.problem


@pytest.mark.parametrize(("address", "installed", "found"), [
    ("127.0.0.1:9100", False, ["metrics-missing"]), ("127.0.0.1:9100", True, []), (None, False, [])])
def test_status_server_without_metrics_is_a_warning(
        monkeypatch: pytest.MonkeyPatch, address: str | None, installed: bool, found: list[str]) -> None:
    monkeypatch.setattr(deployment, "find_spec", lambda name: object() if installed else None)
    assert codes(deployment.check_status(Settings(status_address=address))) == found


@pytest.mark.skipif(gunicorn.version_info < (25,), reason="this Gunicorn supports addresses only")
@pytest.mark.parametrize("trusted", ["0.0.0.0/0", "10.0.0.1,::/0"])
def test_network_of_all_addresses_is_trusted_by_everyone(trusted: str) -> None:
    config = configuration(bind="0.0.0.0:80", keepalive=75, forwarded_allow_ips=trusted)
    assert codes(deployment.check(config, "gevent")) == ["trusts-everyone"]


def test_running_as_root_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    config.set("user", 0)
    assert codes(deployment.check(config, "gevent")) == ["root"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert deployment.check(config, "gevent") == []


def test_end_of_eventlet_support_is_a_warning() -> None:
    (finding,) = deployment.check(configuration(), "eventlet")
    assert finding.code == "eventlet-ends"
    assert date(2027, 4, 1) == deployment.EVENTLET_END_OF_SUPPORT
    assert "April 2027" in str(finding)


# configuration


@pytest.mark.parametrize(("bind", "found"), [
    ("127.0.0.1:65535", []), ("127.0.0.1:0", []), ("unix:/tmp/99999", []), ("fd://99999", []),
    ("127.0.0.1:65536", ["bind has port 65536"]), ("127.0.0.1:-1", ["bind has port -1"]),
    (["[::1]:99999", "127.0.0.1:80", ":70000"], ["bind has port 99999", "bind has port 70000"]),
])
def test_invalid_ports_are_reported(bind: object, found: list[str]) -> None:
    findings = check_gunicorn(configuration(bind=bind), Settings(), "gevent")
    assert [finding.problem for finding in findings] == found
    assert all(finding.fatal for finding in findings)


@pytest.fixture(params=["file", "directory"])
def forbidden(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file that only root may read, in a directory that may be closed too."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "key.pem")
        path.touch(0o000)
        Path(directory).chmod(0o711 if request.param == "file" else 0o000)
        yield path
        Path(directory).chmod(0o700)


@contextmanager
def not_root() -> Iterator[None]:
    # The first call loads a module of Python, which may be where only root can read it.
    socket.getaddrinfo("127.0.0.1", 0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_unreadable_certificate_is_reported(forbidden: Path) -> None:
    # Before the change of the user, who may not be allowed to read the working directory.
    config = configuration(keyfile=str(forbidden))
    with not_root():
        (finding,) = check_gunicorn(config, Settings(), "gevent")
    assert (finding.code, finding.problem) == ("invalid-setting", f"keyfile is {str(forbidden)!r}")
    assert finding.impact == "it cannot be read (Permission denied)"
    assert "the user who starts Gunicorn may read it" in finding.fix


def test_directory_and_missing_file_are_refused_as_certificates(tmp_path: Path) -> None:
    config = configuration(certfile=str(tmp_path), keyfile=str(tmp_path / "key"))
    findings = check_gunicorn(config, Settings(), "gevent")
    assert [finding.impact for finding in findings] == [
        "it cannot be read (it is a directory, not a regular file)", "there is no such file"]


# drivers


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    def put(name: str, **attributes: object) -> None:
        module = types.ModuleType(name)
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)

    for driver in drivers.DRIVERS:
        monkeypatch.delitem(sys.modules, driver.package, raising=False)
    return types.SimpleNamespace(put=put)


@pytest.mark.parametrize("driver", drivers.DRIVERS, ids=lambda driver: str(driver.package))
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_blocking_driver_is_reported_once(modules: types.SimpleNamespace, driver: drivers.Driver, library: str) -> None:
    assert drivers.check(library, set()) == []
    modules.put(driver.package, is_thin_mode=lambda: False)
    if driver.package == "psycopg2":
        modules.put("psycopg2.extensions", get_wait_callback=lambda: None)
    if driver.package == "pymssql":
        modules.put("pymssql._mssql", wait_callback=None)
    if driver.package == "mysql.connector":
        modules.put("_mysql_connector")
    if driver.package == "psycopg":
        modules.put("psycopg.waiting", wait=len)
    known: set[str] = set()
    blocks = (driver.package, library) != ("psycopg", "gevent")
    assert codes(drivers.check(library, known)) == ["driver-blocks"] * blocks
    assert drivers.check(library, known) == [], "it is reported once"


def test_cooperative_drivers_are_not_reported(modules: types.SimpleNamespace) -> None:
    modules.put("psycopg2")
    modules.put("psycopg2.extensions", get_wait_callback=lambda: print)
    modules.put("oracledb", is_thin_mode=lambda: True)
    modules.put("pymssql")
    modules.put("pymssql._mssql", wait_callback=print)
    modules.put("mysql.connector")
    modules.put("psycopg.waiting", wait=lambda: None)
    modules.put("grpc")
    modules.put("grpc._cython.cygrpc", g_gevent_activated=True)
    for name in ("psycopg", "pymysql"):
        modules.put(name)
    assert drivers.check("gevent", set()) == []
    assert codes(drivers.check("eventlet", set())) == ["driver-blocks"], "gRPC does not support eventlet"


# cancellation


@pytest.mark.parametrize("setting", ["request_timeout_action", "on_client_gone"])
@pytest.mark.parametrize("library", cancellation.LIBRARIES, ids=lambda library: str(library.module))
def test_library_that_cancelled_requests_damage_is_reported_once(
        monkeypatch: pytest.MonkeyPatch, library: cancellation.Library, setting: str) -> None:
    cancelling = replace(Settings(), **{setting: "cancel"})  # type: ignore[arg-type]
    for name in ("sqlalchemy.pool", *(each.module for each in cancellation.LIBRARIES)):
        monkeypatch.delitem(sys.modules, name, raising=False)
    known: set[str] = set()
    assert cancellation.check(cancelling, known) == []
    monkeypatch.setitem(sys.modules, library.module, types.ModuleType(library.module))
    assert cancellation.check(Settings(), known) == []
    finding, = cancellation.check(cancelling, known)
    assert finding.code == "cancel-unsafe"
    assert finding.problem == f"{setting} is 'cancel', and {library.module} is imported"
    assert cancellation.check(cancelling, known) == [], "it is reported once"
    monkeypatch.setitem(sys.modules, "sqlalchemy.pool", types.ModuleType("sqlalchemy.pool"))
    assert codes(cancellation.check(cancelling, set())) == ["cancel-unsafe"] * (library.module != "pymysql")


# application


class Meta(type):
    def __call__(cls, *args: object) -> object:
        return super().__call__()


class Fine:
    def __init__(self, environ: object, start_response: object) -> None: ...
    def __call__(self, environ: object, start_response: object) -> None: ...
    def takes_none(self) -> None: ...


class Static:
    @staticmethod
    def __call__(environ: object, start_response: object) -> None: ...


class Chosen(metaclass=Meta): ...


class Made:
    def __new__(cls) -> Made:
        return super().__new__(cls)


class Inherits(dict):  # type: ignore[type-arg]
    ...


class Bare: ...


def takes_none() -> None: ...


def takes_any(*args: object) -> None: ...


@functools.wraps(takes_none)
def decorated(*args: object) -> None: ...


def with_wrong_signature(environ: object, start_response: object) -> None: ...


with_wrong_signature.__signature__ = inspect.Signature()  # type: ignore[attr-defined]


def with_unknown_annotation(environ: object, start_response: object) -> None: ...


with_unknown_annotation.__annotations__ = {"environ": "NowhereToBeFound"}


def with_required_keyword(environ: object, start_response: object, *, name: object) -> None: ...


def with_optional_keyword(environ: object, start_response: object, *, name: object = None) -> None: ...


async def awaits(environ: object, start_response: object) -> None: ...


async def yields(environ: object, start_response: object) -> AsyncIterator[bytes]:
    yield b""


@pytest.mark.parametrize(("application", "found"), [
    *((application, []) for application in (
        Fine, Fine(1, 2), Static(), Chosen, Inherits, takes_any, decorated, with_wrong_signature,
        with_unknown_annotation, with_optional_keyword,
        functools.partial(takes_none), Fine(1, 2).takes_none, dict, len, print)),
    *((application, ["not-wsgi"]) for application in (Made, Bare, takes_none, with_required_keyword, awaits, yields)),
])
def test_not_wsgi_is_reported_only_if_it_is_certain(application: Callable[..., object], found: list[str]) -> None:
    """Callables written in C and wrappers with ``*args`` are not certain, so they are accepted."""
    app = types.SimpleNamespace(app_uri="some:thing", cfg=Config())
    assert codes(check_application(application, app)) == found


# patching


def test_importers_are_listed_from_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, importing in [("lowest", ""), ("middle", "lowest"), ("topmost", "middle")]:
        package = tmp_path / f"{name}_of_three"
        package.mkdir()
        package.joinpath("__init__.py").write_text(f"import {importing}_of_three.part\n" if importing else "")
        package.joinpath("part.py").write_text("def work(): pass\n")
    __import__("topmost_of_three")
    try:
        found = importers.importers("lowest_of_three", importers.modules_by_package())
        assert found[:2] == ["middle_of_three", "topmost_of_three"]
    finally:
        for name in [name for name in sys.modules if "_of_three" in name]:
            del sys.modules[name]


def test_unknown_module_has_no_importers() -> None:
    assert importers.importers("no.such.module", importers.modules_by_package()) == []


def test_attributes_of_objects_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        """Like lazy objects of Django, which run code when an attribute is read."""

        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

    class Shy:
        @property
        def __module__(self) -> str:  # type: ignore[override]
            raise RuntimeError

    module = types.ModuleType("shy_module")
    module.__file__ = "shy_module.py"
    own = type("Own", (), {"lazy": Lazy(), "shy": Shy(), "__module__": "shy_module"})
    vars(module).update(lazy=Lazy(), shy=Shy(), shy_class=Shy, own=own, mine=threading.local())
    monkeypatch.setitem(sys.modules, "shy_module", module)
    assert "shy_module" not in importers.importers("gunicorn.config", importers.modules_by_package())
    assert patching.check(["shy_module"]) == [], "nothing is patched here"
    monkeypatch.setattr(threading, "local", type("local", (), {"__module__": "gevent.local"}))
    (finding,) = patching.check(["shy_module"])
    assert finding.impact == originals.LOCAL


def test_name_replaced_by_other_code_is_reported_without_a_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("keeping_module")
    vars(module).update(sleep=time.sleep, __file__="keeping_module.py")
    monkeypatch.setitem(sys.modules, "keeping_module", module)
    assert patching.check(["keeping_module"]) == []
    monkeypatch.setattr(time, "sleep", functools.partial(time.sleep))
    (finding,) = patching.check(["keeping_module"])
    assert finding.code == "imported-too-early"
    assert finding.fix == "Import it in the application, not in your configuration file", "no hub has patched"


def test_every_impact_has_a_rank() -> None:
    """An impact without a rank would raise an exception."""
    assert {original.impact for original in [*originals.NAMES.values(), *originals.OBJECTS.values()]} <= {
        *originals.IMPACTS}


# engineio


def find_engineio(monkeypatch: pytest.MonkeyPatch, library: str, *names: str) -> list[Finding]:
    for name in ("engineio.async_drivers.gevent", "engineio.async_drivers.eventlet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    known: set[str] = set()
    found = engineio.check(library, known)
    assert engineio.check(library, known) == [], "it is reported once"
    return found


@pytest.mark.parametrize(("library", "modules", "fix"), [
    ("gevent", ["engineio.async_drivers.eventlet"], "async_mode='gevent'"),
    ("eventlet", ["engineio.async_drivers.gevent"], "async_mode='eventlet'"),
    ("toy", ["engineio.async_drivers.eventlet"], "async_mode='threading'"),
])
def test_driver_of_engineio_that_fails_is_reported(
        monkeypatch: pytest.MonkeyPatch, library: str, modules: list[str], fix: str) -> None:
    (finding,) = find_engineio(monkeypatch, library, *modules)
    assert finding.code == "engineio-driver"
    assert fix in finding.fix


@pytest.mark.parametrize(("library", "modules"), [
    ("gevent", []), ("eventlet", []), ("gevent", ["engineio.async_drivers.gevent"]),
    ("eventlet", ["engineio.async_drivers.eventlet"]),
    ("gevent", ["engineio.async_drivers.threading"]),
])
def test_driver_of_engineio_that_works_is_not_reported(
        monkeypatch: pytest.MonkeyPatch, library: str, modules: list[str]) -> None:
    assert find_engineio(monkeypatch, library, *modules) == []


# database connections


def django_with(monkeypatch: pytest.MonkeyPatch, engine: str, **database: object) -> None:
    databases = {"default": {"ENGINE": f"django.db.backends.{engine}", **database}}
    settings = types.SimpleNamespace(configured=True, DATABASES=databases)
    monkeypatch.setitem(sys.modules, "django.conf", types.SimpleNamespace(settings=settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(("engine", "database", "workers", "settings", "found"), [
    ("postgresql", {"CONN_MAX_AGE": 600}, 2, {}, True), ("postgresql", {"CONN_MAX_AGE": None}, 1, {}, True),
    ("mysql", {"CONN_MAX_AGE": 600}, 1, {}, True),
    ("postgresql", {}, 2, {}, False), ("postgresql", {"CONN_MAX_AGE": 0}, 2, {}, False),
    ("sqlite3", {"CONN_MAX_AGE": 600}, 2, {}, False),
    ("postgresql", {"CONN_MAX_AGE": 600}, 2, {"max_active_requests": 45}, False),
    ("postgresql", {"CONN_MAX_AGE": 600}, 2, {"request_greenlets": "fresh"}, False),
])
def test_persistent_connections_of_django(monkeypatch: pytest.MonkeyPatch, engine: str, database: dict[str, object],
                                          workers: int, settings: dict[str, Any], found: bool) -> None:
    django_with(monkeypatch, engine, **database)
    findings = database_connections.check(configuration(workers=workers), Settings(**settings))
    assert codes(findings) == ["database-connections"] * found


def test_finding_about_django_has_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    django_with(monkeypatch, "postgresql", CONN_MAX_AGE=600)
    (finding,) = database_connections.check(configuration(workers=2), Settings())
    assert "CONN_MAX_AGE of the database 'default' is 600" in finding.problem
    assert "up to 2000 in all workers" in finding.problem
    assert "GWORKERS_MAX_ACTIVE_REQUESTS=22 in the environment" in finding.fix


def test_settings_of_django_that_cannot_be_read_are_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "django.conf", types.SimpleNamespace(settings=object()))  # type: ignore[arg-type]
    assert database_connections.check(configuration(), Settings()) == []


class Engine:
    """Like an engine of SQLAlchemy."""

    def __init__(self, dialect: str, size: int, overflow: int | None, host: str = "db") -> None:
        self.dialect = types.SimpleNamespace(name=dialect)
        self.url = types.SimpleNamespace(host=host, port=5432)
        self.pool = types.SimpleNamespace(size=lambda: size)
        if overflow is not None:
            self.pool._max_overflow = overflow


@pytest.mark.parametrize(("engines", "workers", "found"), [
    ([], 9, 0), ([("postgresql", 5, 10)], 6, 0), ([("postgresql", 5, 10)], 7, 1), ([("mysql", 5, 10)], 7, 0),
    ([("mariadb", 5, 10)], 11, 1), ([("sqlite", 5, 10)], 99, 0), ([("postgresql", 5, -1)], 1, 1),
    ([("postgresql", 0, 10)], 1, 1), ([("postgresql", 5, None)], 99, 0),
    ([("postgresql", 30, 0), ("postgresql", 30, 0)], 2, 1),
    ([("postgresql", 30, 0, "db1"), ("postgresql", 30, 0, "db2")], 2, 0),
])
def test_pools_of_sqlalchemy(
        monkeypatch: pytest.MonkeyPatch, engines: list[tuple[Any, ...]], workers: int, found: int) -> None:
    existing = [Engine(*arguments) for arguments in engines]
    monkeypatch.setitem(
        sys.modules, "sqlalchemy.engine", types.SimpleNamespace(Engine=Engine))  # type: ignore[arg-type]
    monkeypatch.setattr(gc, "get_objects", lambda: [*existing, object()])
    findings = database_connections.check(configuration(workers=workers), Settings())
    assert codes(findings) == ["database-connections"] * found


# all findings


def test_every_code_is_used() -> None:
    package = Path(gworkers.__file__).parent
    source = "".join(path.read_text() for path in package.rglob("*.py"))
    # One occurrence is the list itself.
    assert [code for code in sorted(CODES) if source.count(f'"{code}"') < 2] == []


def test_every_code_is_documented() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", DOCUMENTATION.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(CODES)


# the configuration file


@pytest.mark.parametrize(("content", "found"), [
    (b"# coding: latin-1\ntitle = '\xe9'\nhead_timeout = 5\n", ["setting-ignored"]),
    (b"title = '\xe9'\n", []),
    (b"def (\n", []),
    (b"\0", []),
    (None, []),
])
def test_ignored_setting_is_found_in_any_readable_configuration(
        tmp_path: Path, content: bytes | None, found: list[str]) -> None:
    """An unreadable file is ignored: after chdir it may be another file than the one that Gunicorn has read."""
    path = tmp_path / "gunicorn.conf.py"
    if content is not None:
        path.write_bytes(content)
    assert codes(config_file.check(configuration(config=str(path)), gworkers.GeventWorker)) == found


@pytest.mark.parametrize(("line", "meant"), [
    ("preload = True", "preload_app"), ("pre_load = True", "preload_app"), ("preload_ap = True", "preload_app"),
    ("access_logfile = '-'", "accesslog"), ("error_logfile = '-'", "errorlog"), ("log_file = '-'", "errorlog"),
    ("logfile: str = '-'", "errorlog"), ("pid = 'pid'", "pidfile"), ("env = []", "raw_env"),
    ("name = 'shop'", "proc_name"), ("wrokers = 2", "workers"), ("worker_conections = 9", "worker_connections"),
    # Functions are compared with hooks only.
    ("worker_count = 4", None), ("worker_count = 2 * 2 + 1", None), ("on_reloads = True", None),
    ("def on_reloads(server): pass", "on_reload"), ("on_reloads = lambda server: None", "on_reload"),
    ("def preload(server): pass", None), ("def worker_cont(worker): pass", "worker_int"),
    ("names = ['a', 'b']", None), ("cores = 4\nworkers = cores", None),
])
def test_similar_setting_is_suggested(tmp_path: Path, line: str, meant: str | None) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text(f"{line}\n")
    found = config_file.check(configuration(config=str(path)), gworkers.GeventWorker)
    assert [finding.fix for finding in found] == ([f"Did you mean {meant}?"] if meant else [])


@pytest.mark.parametrize(("module", "imported"), [
    ("gworkers.worker.green", "from gworkers import Mine; "), ("shop.workers", "from shop.workers import Mine; "),
    ("__config__", ""),
])
def test_gworkers_setting_is_suggested_for_the_class_in_use(tmp_path: Path, module: str, imported: str) -> None:
    path = tmp_path / "gunicorn.conf.py"
    path.write_text("head_timeout = 5\n")
    (finding,) = config_file.check(configuration(config=str(path)), type("Mine", (), {"__module__": module}))
    assert finding.fix.startswith(f"Set it with: {imported}worker_class = Mine.configure(head_timeout=...); ")
