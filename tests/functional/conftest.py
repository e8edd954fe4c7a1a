"""Which form of a test application the tests here talk to, and how they run the doctor."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.browser import CHROMIUM, Browser
from support.deployment import Deployment
from support.doctor_run import HELLO, HUB, DoctorRun, Run, environment
from support.launch import WORKERS
from support.requirements import unavailable
from support.script import ScriptSetup
from support.server import Server
from support.tls import Certificates
from support.waiting import WAIT_LIMIT


@pytest.fixture(scope="session", params=["plain", "validated"])
def form(request: pytest.FixtureRequest) -> str:
    """"validated" with ``wsgiref.validate`` around the application, which checks both sides of PEP 3333."""
    return request.param


@pytest.fixture
def site(serve: Callable[..., Server], form: str) -> Callable[..., Server]:
    """``site("echo")``: a shared server with tests/apps/echo.py, in each of the two forms.

    A server at fault fails with the validator's AssertionError in its log. Tests that ask for ``serve`` instead are
    about what PEP 3333 forbids applications to do, or about what the validator hides from the server, which is that
    an answer is a list of one part, or a file wrapper.
    """

    def site(name: str, *options: object, **more: Any) -> Server:
        return serve(f"validated:{name}" if form == "validated" else f"{name}:app", *options, **more)

    return site


@pytest.fixture
def dnspython(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let eventlet use dnspython, with ``--matrix=pairwise`` too."""
    monkeypatch.delenv("EVENTLET_NO_GREENDNS", raising=False)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "pid"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, which all tests of the status page share."""
    if CHROMIUM is None:
        unavailable("no Chromium in PATH: install the package chromium")
    with Browser() as browser:
        yield browser


@pytest.fixture
def certificate(certificates: Certificates) -> Path:
    """The path of a file with the server's certificate and its key."""
    return certificates.both


@pytest.fixture
def trusting(certificates: Certificates) -> ssl.SSLContext:
    """A client's TLS context."""
    return certificates.context()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may enter; the command is run there."""
    place = Path(tempfile.mkdtemp(prefix="gw"))
    place.chmod(0o755)
    (place / "hello.py").write_text(HELLO)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def run(place: Path) -> Run:
    """``run(*words)``: the command with these words.

    By name: ``config`` (text of gunicorn.conf.py), ``app`` (text of hello.py), ``env``, ``command`` (how to call it).
    """

    def run(*words: str, config: str = "", app: str = "", env: dict[str, str] | None = None,
            command: tuple[str, ...] = ("-m", "gworkers")) -> DoctorRun:
        if config:
            (place / "gunicorn.conf.py").write_text(config)
        if app:
            (place / "hello.py").write_text(app)
        return DoctorRun(subprocess.run(
            [sys.executable, *command, *words], cwd=place, env=environment(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False))

    return run


@pytest.fixture
def ask(run: Run) -> Run:
    """As ``run``, with ``doctor --json``, a worker class and an application; ``words`` are further ones."""

    def ask(*words: str, hub: str = HUB, **more: Any) -> DoctorRun:
        return run("doctor", "--json", "-k", WORKERS[hub], *words, "hello:app", **more)

    return ask


@pytest.fixture
def run_script(hub: str) -> Iterator[Callable[..., Server]]:
    """``run_script(script, *words)``: a server of its own that a script starts; ``words`` are the script's."""
    started: list[Server] = []

    def run_script(script: str, *words: str, ready: bool = True, env: dict[str, str] | None = None) -> Server:
        server = Server(ScriptSetup(app="", script=script, hub=hub, options=words,
                                    env=tuple((env or {}).items())))
        started.append(server)
        return server.ready() if ready else server

    yield run_script
    for server in started:
        server.stop(WAIT_LIMIT)
