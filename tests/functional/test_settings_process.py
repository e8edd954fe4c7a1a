"""Settings of processes: their number, user, directory, title and code."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gunicorn
import pytest

from gworkers.hubs import HUBS
from support.client import request
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc exists on Linux only")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")


def test_configured_number_of_workers_runs(start: Start) -> None:
    server = start("probe:app", workers=3)
    assert len(set(server.worker_pids())) == 3
    seen = server.ask()
    assert seen["pid"] in server.worker_pids()
    assert seen["parent"] == server.pid


@needs_root
def test_workers_run_as_user_and_group(start: Start) -> None:
    nobody = pwd.getpwnam("nobody")
    group = grp.getgrgid(nobody.pw_gid).gr_name
    server = start("probe:app", "--user", "nobody", "--group", group)
    seen = server.ask()
    assert (seen["uid"], seen["gid"]) == (nobody.pw_uid, nobody.pw_gid)


@needs_root
def test_initgroups_sets_supplementary_groups(start: Start) -> None:
    nobody = pwd.getpwnam("nobody")
    seen = start("probe:app", "--user", "nobody", "--group", nobody.pw_gid, "--initgroups").ask()
    assert seen["groups"] == sorted(os.getgrouplist("nobody", nobody.pw_gid))


@needs_root
def test_user_owns_the_unix_socket(start: Start, tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    server = start("probe:app", "--user", "nobody", "--group", nobody.pw_gid, bind=[f"unix:{tmp_path}/s"])
    assert (tmp_path / "s").stat().st_uid == nobody.pw_uid
    assert server.ask()["uid"] == nobody.pw_uid


def test_chdir_is_the_working_directory(start: Start, tmp_path: Path) -> None:
    (tmp_path / "nearby.py").write_text("from probe import app\n")
    seen = start("nearby:app", "--chdir", tmp_path).ask()
    assert seen["cwd"] == os.path.realpath(tmp_path)


def test_pythonpath_is_on_the_import_path(start: Start, tmp_path: Path) -> None:
    (tmp_path / "faraway.py").write_text("from probe import app\n")
    assert str(tmp_path) in start("faraway:app", "--pythonpath", f"/nonexistent,{tmp_path}").ask()["path"]


def test_raw_env_is_in_the_environment(start: Start) -> None:
    server = start("probe:app", "--env", "COLOUR=green=ish", "--env", "SIZE=")
    assert server.ask("/variable?name=COLOUR") == "green=ish"
    assert server.ask("/variable?name=SIZE") == ""
    assert server.ask("/variable?name=TASTE") is None


def test_pidfile_holds_the_master_and_is_removed(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    server = start("probe:app", "--pid", path)
    assert int(path.read_text()) == server.pid
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not path.exists()


@needs_linux
def test_worker_tmp_dir_holds_the_heartbeat_files(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", "--worker-tmp-dir", tmp_path)
    files = Path(f"/proc/{server.worker_pids()[0]}/fd")
    assert any(os.readlink(file).startswith(f"{tmp_path}/wgunicorn-") for file in files.iterdir())
    assert server.ask()["parent"] == server.pid


def has_title(title: Path, name: str) -> bool:
    return name in title.read_text()


@needs_linux
@pytest.mark.parametrize(("options", "name"), [(["--name", "shop"], "shop"), ([], "probe:app")])
@pytest.mark.smoke
def test_proc_name_is_the_process_title(start: Start, options: list[str], name: str) -> None:
    pytest.importorskip("setproctitle", reason="without it Gunicorn does not set process titles")
    server = start("probe:app", *options)
    for pid, role in (server.pid, "master"), (server.worker_pids()[0], "worker"):
        title = Path(f"/proc/{pid}/cmdline")
        until(partial(has_title, title, f"{role} [{name}]"), f"the name of the {role}")


# preload_app


#: The code that the finding about an unpatched master suggests.
PATCHED = {hub: f"{row.master_patch_code}\n" for hub, row in HUBS.items()}


def test_preload_in_a_patched_master(hub: str, start: Start) -> None:
    config = PATCHED[hub] + ("from os import write\ndef when_ready(server):\n"
                             "    write(2, b'loaded %d\\n' % bool(server.app.callable))\n")
    server = start("probe:app", "--preload", config=config, workers=2)
    server.wait_for_log("^loaded 1$")
    assert server.ask()["pid"] in server.worker_pids()


def test_preload_with_flask(hub: str, start: Start) -> None:
    pytest.importorskip("flask")
    if hub == "eventlet" and gunicorn.version_info < (24,):
        pytest.skip("with eventlet's locks the interpreter of a patched master ends with a traceback")
    server = start("shop:app", "--preload", config=PATCHED[hub])
    # With an unpatched lock, the second request would block the worker and the first request.
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.send(request("/"))
    assert [client.receive().body for client in clients] == [b"bought"] * len(clients)
    assert not server.log("monkey|RuntimeError", since=0)


@pytest.mark.parametrize("preload", [True, False])
def test_patched_master_works(hub: str, start: Start, tmp_path: Path, preload: bool) -> None:
    server = start("probe:app", config=PATCHED[hub] + f"preload_app = {preload}\n")
    requests = [HeldRequest(server, tmp_path, str(number)) for number in range(3)]
    for held in requests:
        held.running()
    assert [server.ask()["pid"]] == server.worker_pids()
    for held in requests:
        held.let_go()
        assert held.answer()["most"] == 3
    # The master still handles signals.
    server.signal(signal.SIGTTIN)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
