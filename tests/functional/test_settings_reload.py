"""The setting reload and related ones: workers that notice changed code."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from support.server import Server
from support.waiting import until

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.log_handler(raises="Gunicorn logs that its reloader is on, and ends if it cannot")]

Start = Callable[..., Server]


def write(path: Path, text: str) -> None:
    path.write_text(text)
    # Python compares the times of compiled code in whole seconds, which is too coarse for a test.
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)


def application(answer: str) -> str:
    return ("def app(environ, start_response):\n"
            f"    start_response('200 OK', [('Content-Length', '{len(answer)}')])\n"
            f"    return [b'{answer}']\n")


def change_until_noticed(server: Server, path: Path) -> None:
    """Change the file repeatedly, because the reloader misses a change that comes before its first look."""
    moments = count(int(time.time()), 10)

    def noticed() -> object:
        moment = next(moments)
        os.utime(path, (moment, moment))
        return server.log(f"Worker reloading: .*{path.name} modified")

    until(noticed, f"a reload because of {path.name}")


def test_reload(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    write(path, application("before"))
    config = "from os import write\ndef worker_int(worker):\n    write(2, b'worker_int\\n')\n"
    server = start("changing:app", "--reload", "--reload-engine", "poll", "--chdir", tmp_path, config=config)
    client = server.connect()
    assert client.request().body == b"before"
    write(path, application("after"))
    change_until_noticed(server, path)
    server.wait_for_log("^worker_int$")
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert server.connect().request().body == b"after"
    client.expect_close()


def test_reload_extra_files(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("hello")
    server = start("probe:app", "--reload", "--reload-extra-file", path)
    old = server.worker_pids()
    change_until_noticed(server, path)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert server.connect().request().status == 200
    assert set(server.worker_pids()) - set(old)


@pytest.mark.parametrize(("broken", "options", "error", "shown"), [
    ("def app(:\n", (), "SyntaxError", "load_wsgi"),
    ("import nowhere_to_be_found\n", ("--reload-engine", "poll"), "^ModuleNotFoundError", "nowhere_to_be_found"),
], ids=["syntax", "import"])
def test_reload_shows_the_error_until_it_is_fixed(
        start: Start, tmp_path: Path, broken: str, options: tuple[str, ...], error: str, shown: str) -> None:
    path = tmp_path / "changing.py"
    write(path, broken)
    server = start("changing:app", "--reload", *options, "--chdir", tmp_path)
    server.expect_traceback(error)
    response = server.connect().request()
    assert response.status == 500
    assert shown in response.text
    write(path, application("fixed"))
    change_until_noticed(server, path)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert server.connect().request().body == b"fixed"


def test_no_reload(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    write(path, application("before"))
    server = start("changing:app", "--chdir", tmp_path)
    write(path, application("after"))
    assert server.connect().request().body == b"before"
    assert not server.log("Reloader is on")
