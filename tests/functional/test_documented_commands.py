"""The commands of docs/ that need a server, with the addresses and the process ids of a real one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.watch.control_address import addresses
from support.doc_blocks import Block, blocks
from support.server import Server
from support.waiting import WAIT_LIMIT, until, until_gone

pytestmark = [pytest.mark.full, pytest.mark.only(transport="tcp", parser="fast")]

FILE = "tests/functional/test_documented_commands.py"
BLOCKS = [block for block in blocks() if block.reason == FILE]
OPTIONS = "--access-logfile", "access.log", "--pid", "shop.pid"
SETTINGS = {"access_log_json": "true", "status_address": "unix:status.sock"}

Start = Callable[..., Server]


def on_page(page: str) -> list[Block]:
    return [block for block in BLOCKS if block.place.startswith(f"docs/{page}.md:")]


def run(commands: str, directory: Path) -> str:
    """The output of the commands, which must succeed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-e", "-c", commands], cwd=directory, env={**os.environ, "PATH": path}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0, f"{commands}\n{done.stdout}"
    return done.stdout


def test_each_block_is_run_here() -> None:
    run_here = {*on_page("commands"), *on_page("operations"), *on_page("reload")}
    assert [block.place for block in BLOCKS if block not in run_here] == []


@pytest.mark.skipif(sys.platform != "linux", reason="--bind-name reads /proc")
@pytest.mark.parametrize("block", [*on_page("commands"), *on_page("operations")], ids=lambda block: block.place)
def test_commands_for_a_running_server(start: Start, block: Block) -> None:
    pytest.importorskip("rich")
    if "| jq " in block.commands and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    server = start("probe:app", *OPTIONS, settings=SETTINGS)
    (pid,) = server.worker_pids()
    until(lambda: pid in {each.pid for each in addresses()}, "the control socket")
    until((server.directory / "status.sock").exists, "the status address")
    server.connect().request("/")
    address = "{}:{}".format(*server.addresses[0])
    commands = block.commands
    for shown, real in {
        r"\b(24744|3184)\b": pid, r"(/run/)?shop\.pid\b": "shop.pid",
        r"127\.0\.0\.1:8000|unix:/run/shop\.sock": address,
        r"127\.0\.0\.1:9100|unix:/run/shop/status.sock": "unix:status.sock",
        r"--seconds \d+": "--seconds 1",
    }.items():  # fmt: skip
        commands = re.sub(shown, str(real), commands)
    assert run(commands, server.directory)


def test_upgrade_without_a_lost_request(start: Start, tmp_path: Path) -> None:
    """The commands for a server with preload_app replace its master."""
    (block,) = on_page("reload")
    server = start("probe:app", "--pid", tmp_path / "pid", settings={"readiness_file": str(tmp_path / "ready")})
    run(block.commands.replace("/run/hello", str(tmp_path)), tmp_path)
    server.process.wait(WAIT_LIMIT)
    new = int((tmp_path / "ready").read_text())
    until((tmp_path / "pid").exists, "the new pidfile")
    assert (tmp_path / "pid").read_text() == f"{new}\n"
    assert server.connect().request("/").status == 200
    os.kill(new, 15)
    until_gone(new)
