"""The setting reload and related ones: workers that notice changed code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gworkers.hubs import HUBS
from support.client import request
from support.server import Server
from support.startup import findings
from support.waiting import until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.log_handler(raises="Gunicorn logs that its reloader is on, and ends if it cannot")]

Start = Callable[..., Server]

#: Files are checked more often.
QUICK = "\nimport gworkers.worker.code_watch\ngworkers.worker.code_watch.INTERVAL = 50\n"


def write(path: Path, text: str) -> None:
    path.write_text(text)
    # Python compares the times of compiled code in whole seconds, which is too coarse for a test.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)


def application(answer: str) -> str:
    return ("def app(environ, start_response):\n"
            f"    start_response('200 OK', [('Content-Length', '{len(answer)}')])\n"
            f"    return [b'{answer}']\n")


def answer(server: Server) -> str:
    return server.connect().request().text


def expect_answer(server: Server, body: str) -> None:
    """Wait for the answer. All requests until then are answered."""
    until(lambda: answer(server) == body, f"the answer {body!r}")


@pytest.fixture(params=["poll", pytest.param("auto", marks=pytest.mark.full)])
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The module of the application."""
    path = tmp_path / "changing.py"
    write(path, application("before"))
    return path


@pytest.fixture
def develop(start: Start, path: Path) -> Start:
    """Start a server with this application."""
    def develop(*options: object, config: str = "", **more: Any) -> Server:
        return start("changing:app", "--reload", "--chdir", path.parent, *options, config=config + QUICK, **more)

    return develop


def test_changed_code_is_loaded_and_no_request_is_lost(develop: Start, path: Path, engine: str) -> None:
    server = develop("--reload-engine", engine)
    client = server.connect()
    assert client.request().body == b"before"
    write(path, application("after"))
    expect_answer(server, "after")
    client.expect_close()


@pytest.mark.full
def test_one_reload_follows_a_change_although_all_workers_notice_it(develop: Start, path: Path) -> None:
    server = develop(workers=2)
    before = set(server.worker_pids())
    write(path, application("after"))
    expect_answer(server, "after")
    until(lambda: len(server.worker_pids()) == 2 and not before & set(server.worker_pids()), "two new workers")
    write(path, application("again"))
    expect_answer(server, "again")
    assert len(server.log("Handling signal: hup")) == 2


@pytest.mark.full
def test_extra_files_are_watched(develop: Start, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("hello")
    server = develop("--reload-extra-file", words)
    words.write_text("goodbye")
    server.wait_for_log("Worker reloading: .*words.txt modified")
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert answer(server) == "before"


@pytest.mark.parametrize(("broken", "options", "shown"), [
    ("def app(:\n", (), "def app(:"),
    ("import nowhere_to_be_found\n", ("--reload-engine", "poll"), "nowhere_to_be_found"),
], ids=["syntax", "import"])
@pytest.mark.sample(1)
def test_error_at_start_is_shown_until_it_is_fixed(
        develop: Start, path: Path, broken: str, options: tuple[str, ...], shown: str) -> None:
    write(path, broken)
    server = develop(*options)
    server.wait_for_log(r"changing:app cannot be loaded: (Syntax|ModuleNotFound)Error: .*\[application\]$", since=0)
    response = server.connect().request()
    assert response.status == 500
    assert shown in response.text
    if shown == "nowhere_to_be_found":
        server.expect_traceback("^ModuleNotFoundError")
    write(path, "def app():\n    other mistake\n")
    until(lambda: "other mistake" in answer(server), "the page of the next error")
    write(path, application("fixed"))
    expect_answer(server, "fixed")


def test_previous_code_serves_until_an_error_is_fixed(develop: Start, path: Path) -> None:
    server = develop()
    write(path, "def app(:\n")
    server.wait_for_log(r"changing:app cannot be loaded: SyntaxError: .*changing\.py:1")
    server.wait_for_log("Reload failed: no new worker booted")
    assert answer(server) == "before"
    write(path, application("fixed"))
    expect_answer(server, "fixed")


@pytest.mark.full
def test_error_in_a_new_module_is_fixed_there(develop: Start, path: Path) -> None:
    server = develop()
    new = path.parent / "package" / "added.py"
    new.parent.mkdir()
    write(new, "name = mistake\n")
    write(path, f"import package.added\n{application('after')}")
    server.expect_traceback("^NameError")
    server.wait_for_log("Reload failed: no new worker booted")
    write(new, "name = 'fixed'\n")
    expect_answer(server, "after")


@pytest.mark.full
def test_missing_module_is_loaded_when_it_is_created(develop: Start, path: Path) -> None:
    server = develop()
    write(path, f"import added\n{application('after')}")
    server.expect_traceback("^ModuleNotFoundError")
    server.wait_for_log("Reload failed: no new worker booted")
    write(path.parent / "added.py", "name = 'fixed'\n")
    expect_answer(server, "after")


@pytest.mark.full
def test_change_is_noticed_while_a_request_blocks_the_worker(develop: Start, path: Path) -> None:
    write(path, "def app(environ, start_response):\n    while True: pass\n")
    server = develop("--graceful-timeout", 2)
    client = server.connect()
    client.send(request())
    server.wait_for_log("The hub is blocked")
    write(path, application("after"))
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    expect_answer(server, "after")


def test_preload_app_is_reported(develop: Start, hub: str) -> None:
    patch = f"import warnings\nwarnings.simplefilter('ignore')\n{HUBS[hub].master_patch_code}\n"
    server = develop("--preload", config=patch)
    assert findings(server) == ["reload-preloaded"]


@pytest.mark.full
def test_engine_of_a_missing_package_works(develop: Start, path: Path) -> None:
    server = develop("--reload-engine", "inotify")
    write(path, application("after"))
    expect_answer(server, "after")


def test_no_reload(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    write(path, application("before"))
    server = start("changing:app", "--chdir", tmp_path)
    write(path, application("after"))
    assert server.connect().request().body == b"before"
    assert not server.log("Reloader is on")
