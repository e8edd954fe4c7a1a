"""Fixtures for tests against a real Gunicorn.

``serve(app, ...)`` gives a running server that later tests with the same arguments share;
``start(app, ...)`` one that is the test's own and stops with it. Both take, besides the application
(``"echo:app"``, found in tests/apps), words for Gunicorn's command line, and by name: ``workers``,
``config`` (text of gunicorn.conf.py), ``settings`` (gworkers' own, a dict), ``env`` (a dict), ``bind`` (a
list of addresses), ``worker_class``; launch.py says how to leave one of them to ``config``. ``start`` takes
``ready=False`` to wait for nothing.

A test that uses either has the fixtures ``hub``, ``transport`` and ``parser``: support/matrix.py says on which
combinations of them it runs. Narrow them down for a test, a class or a module with ``@pytest.mark.only(transport="tcp",
parser="fast")``; the closest mark counts.

After each test its server must have logged no traceback that the test did not expect
(``server.expect_traceback``), and a shared one must still have the worker that it had.

With TEST_LOG_HANDLER=raises, waits or locked every worker's error log and access log have one more handler, which
raises in each ``emit``, waits 50 ms cooperatively, or has a lock that a native thread holds most of the time
(apps/log_handler.py). A test that cannot hold then says why: ``@pytest.mark.log_handler(raises="reason")``.
"""

from __future__ import annotations

import compileall
import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gworkers
from gworkers.http1.fast import FastParser
from support import matrix
from support.heads import no_fast_parser
from support.launch import LOG_HANDLER, Setup, hubs, parsers
from support.paths import APPS, ROOT
from support.server import Server
from support.tls import Certificates
from support.waiting import WAIT_LIMIT

# For the clients and the scenarios of benchmarks/; behind what is installed, which is what is tested.
sys.path.append(str(ROOT))

#: Shared servers that run at the same time; the one unused for longest makes room.
SHARED = 6


@pytest.fixture(scope="session", params=hubs())
def hub(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session", params=["tcp", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session", params=parsers())
def parser(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    values: dict[str, str] = {}
    for mark in metafunc.definition.iter_markers("only"):  # the closest comes first
        values = {**mark.kwargs, **values}
    for name, value in values.items():
        if name in metafunc.fixturenames:
            metafunc.definition.add_marker(pytest.mark.parametrize(name, [value], scope="session"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--matrix", choices=["pairwise", "full", "rest"], default="pairwise",
                     help="run each case on one combination of hub, transport and parser, on all, or on all others")


def is_pairwise(config: pytest.Config) -> bool:
    """The short selection is the same with either matrix."""
    return config.getoption("matrix") == "pairwise" and config.getoption("markexpr") != "smoke"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Servers write no bytecode, and each of hundreds would compile the package again.
        for directory in (Path(gworkers.__file__).parent, APPS):
            compileall.compile_dir(directory, quiet=1)
    config.pluginmanager.register(SlowFirst())
    if is_pairwise(config):
        # Half of the time that a server on eventlet takes to start is the import of dnspython.
        os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    limit_smoke(items)
    if is_pairwise(config):
        items[:], left_out = matrix.select(items)
        config.hook.pytest_deselected(items=left_out)
    elif config.getoption("matrix") == "rest":
        selected, left_out = matrix.select(items)
        # The others are the same in each selection, and quick.
        repeated = {item.nodeid for item in selected if matrix.is_on_a_combination(item)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in repeated])
        items[:] = [item for item in items if item.nodeid not in repeated]


class SlowFirst:
    """Puts slow tests first, after pytest has sorted the tests by their fixtures, so that none is the last to end."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def limit_smoke(items: list[pytest.Item]) -> None:
    """Keep the mark ``smoke`` on one transport, TCP, one parser, which most users have, and the plain form."""
    for item in items:
        mark = item.get_closest_marker("smoke")
        if mark is not None and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            given = item.callspec.params
            if not (given.get("transport", "tcp") == "tcp" and given.get("parser", "fast") in ("fast", parsers()[0])
                    and (mark.kwargs.get("validated") or given.get("form", "plain") == "plain")):
                item.own_markers.remove(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("log_handler"):
        if LOG_HANDLER in mark.kwargs:
            pytest.skip(f"TEST_LOG_HANDLER={LOG_HANDLER}: {mark.kwargs[LOG_HANDLER]}")


@pytest.fixture(params=[pytest.param(FastParser, id="fast"), pytest.param(no_fast_parser, id="python")])
def fast(request: pytest.FixtureRequest) -> Any:
    """Makes a fast parser from a configuration, and none."""
    return request.param


class Pool:
    """Shared servers by their setup."""

    def __init__(self) -> None:
        self.servers: OrderedDict[Setup, Server] = OrderedDict()

    def get(self, setup: Setup) -> Server:
        if setup not in self.servers:
            while len(self.servers) >= SHARED:
                self.servers.popitem(last=False)[1].stop()
            self.servers[setup] = Server(setup)
            self.servers[setup].ready()
        self.servers.move_to_end(setup)
        return self.servers[setup]

    def drop(self, server: Server) -> None:
        """For one that a test left in a state that others should not see."""
        self.servers.pop(server.setup).stop()

    def stop(self) -> None:
        """Stop all of them, those behind one that does not stop too."""
        problems = []
        while self.servers:
            try:
                self.servers.popitem()[1].stop()
            except AssertionError as error:
                problems.append(str(error))
        assert not problems, "\n\n".join(problems)


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.stop()


def setup_of(hub: str, transport: str, parser: str, app: str, options: tuple[object, ...],
             settings: dict[str, object] | None = None, env: dict[str, str] | None = None,
             bind: list[str] | None = None, **more: Any) -> Setup:
    return Setup(app=app, hub=hub, transport=transport, parser=parser, options=tuple(map(str, options)),
                 settings=tuple(sorted((settings or {}).items())), env=tuple(sorted((env or {}).items())),
                 bind=tuple(bind or ()), **more)


@pytest.fixture
def serve(hub: str, transport: str, parser: str, pool: Pool) -> Iterator[Callable[..., Server]]:
    used: dict[Server, list[int]] = {}

    def serve(app: str, *options: object, **more: Any) -> Server:
        server = pool.get(setup_of(hub, transport, parser, app, options, **more))
        if server not in used:
            server.begin()
            used[server] = server.worker_pids()
        return server

    yield serve
    for server, workers in used.items():
        server.close_clients()
        unexpected = server.unexpected_tracebacks()
        survived = server.worker_pids() == workers and server.process.poll() is None
        if unexpected or not survived:
            said = "\n".join(server.log())
            pool.drop(server)
            assert survived, f"the worker did not survive the test:\n{said}"
            pytest.fail(f"tracebacks that the test did not expect:\n{said}")


@pytest.fixture
def start(hub: str, transport: str, parser: str) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(app: str, *options: object, ready: bool = True, **more: Any) -> Server:
        server = Server(setup_of(hub, transport, parser, app, options, **more))
        started.append(server)
        return server.ready() if ready else server

    yield start
    problems = []
    for server in started:
        try:
            server.stop(WAIT_LIMIT)
        except AssertionError as error:
            problems.append(str(error))
        if server.unexpected_tracebacks():
            problems.append("tracebacks that the test did not expect:\n" + "\n".join(server.log()))
    if problems:
        pytest.fail("\n\n".join(problems))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """For 127.0.0.1 and localhost, of an authority of their own."""
    trustme = pytest.importorskip("trustme")
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    paths = Certificates(directory / "cert", directory / "key", directory / "both", directory / "ca", authority)
    issued.cert_chain_pems[0].write_to_path(str(paths.certfile))
    issued.private_key_pem.write_to_path(str(paths.keyfile))
    issued.private_key_and_cert_chain_pem.write_to_path(str(paths.both))
    authority.cert_pem.write_to_path(str(paths.ca_certs))
    return paths
