"""Which form of a test application the tests here talk to, how they run the doctor, which are the short selection."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment import Deployment
from launch import WORKERS
from server import Server, parsers
from smoke import SELECTION
from visit import HELLO, HUB, Run, Visit, environment


@pytest.fixture
def form() -> str:
    """Goes before an application's name; test_wsgi_validate.py runs the same tests with another."""
    return ""


@pytest.fixture
def site(serve: Callable[..., Server], form: str) -> Callable[..., Server]:
    """``site("echo")``: a shared server with tests/apps/echo.py, in the form that the module asks for."""

    def site(name: str, *options: object, **more: Any) -> Server:
        return serve(f"{form}{name}" if form else f"{name}:app", *options, **more)

    return site


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "pid"


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
            command: tuple[str, ...] = ("-m", "gworkers")) -> Visit:
        if config:
            (place / "gunicorn.conf.py").write_text(config)
        if app:
            (place / "hello.py").write_text(app)
        return Visit(subprocess.run(
            [sys.executable, *command, *words], cwd=place, env=environment(env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False))

    return run


@pytest.fixture
def ask(run: Run) -> Run:
    """As ``run``, with ``doctor --json``, a worker class and an application; ``words`` are further ones."""

    def ask(*words: str, hub: str = HUB, **more: Any) -> Visit:
        return run("doctor", "--json", "-k", WORKERS[hub], *words, "hello:app", **more)

    return ask


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and item.originalname in SELECTION.get(item.module.__name__, ()):
            given = item.callspec.params
            if given.get("transport", "tcp") == "tcp" and given.get("parser", "fast") in ("fast", parsers()[0]):
                item.add_marker(pytest.mark.smoke)
