"""The findings of a real Gunicorn: fatal ones stop it with one line, warnings are logged once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import SHARING, at_start, refuses_reload
from support.launch import importable
from support.server import Server
from support.startup import configured, findings, refusal

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.fixture
def early(tmp_path: Path) -> str:
    """A configuration that imports a module whose import keeps a class derived from a patched one."""
    (tmp_path / "early_client.py").write_text("import ssl\nclass Context(ssl.SSLContext): pass\n")
    (tmp_path / "early_shop.py").write_text("import early_client\n")
    return f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport early_shop\n"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="PyPy's greenlets cannot be broken")
@pytest.mark.smoke
def test_shared_contexts_stop_the_start(start: Start, tmp_path: Path) -> None:
    path = at_start(tmp_path, SHARING)
    # A fatal finding cannot be silenced.
    server = start("probe:app", env={"PYTHONPATH": path, "GWORKERS_SILENCE": "contexts-shared"}, ready=False)
    assert "[contexts-shared]" in refusal(server)


def test_unknown_code_in_silence_is_refused(start: Start) -> None:
    line = refusal(start("probe:app", settings={"silence": "rooot"}, ready=False))
    assert "'rooot'" in line
    assert "root" in line


def test_unknown_part_in_patch_is_refused(start: Start) -> None:
    assert "'sockets'" in refusal(start("probe:app", settings={"patch": "sockets"}, ready=False))


def test_findings_are_logged_once_for_all_workers(start: Start, early: str) -> None:
    server = start("probe:app", "--worker-connections", 10 ** 7, config=early, workers=3)
    assert server.connect().request().status == 200
    assert sorted(findings(server)) == ["imported-too-early", "open-file-limit"]
    (line,) = server.log("imported-too-early", since=0)
    assert "early_client was imported before the patch and keeps a class derived from ssl.SSLContext" in line
    assert "(imported by early_shop <- gunicorn.conf.py)" in line


def test_silenced_findings_are_not_logged(start: Start, early: str) -> None:
    server = start("probe:app", "--worker-connections", 10 ** 7, config=early,
                   settings={"silence": "imported-too-early,open-file-limit,root"})
    assert findings(server) == []


@pytest.mark.smoke
def test_good_deployment_has_no_findings(start: Start) -> None:
    assert findings(start("probe:app")) == []


@pytest.mark.smoke
def test_driver_imported_by_the_application_is_reported(start: Start, tmp_path: Path) -> None:
    (tmp_path / "MySQLdb.py").touch()
    (tmp_path / "shop.py").write_text("import MySQLdb\nfrom probe import app\n")
    server = start("shop:app", "--chdir", tmp_path)
    assert findings(server) == ["driver-blocks"]


def test_driver_imported_by_a_request_is_reported(start: Start, tmp_path: Path) -> None:
    (tmp_path / "pyodbc.py").touch()
    (tmp_path / "shop.py").write_text("from probe import app as own\ndef app(environ, start_response):\n"
                                      "    import pyodbc\n    return own(environ, start_response)\n")
    server = start("shop:app", "--chdir", tmp_path)
    assert findings(server) == []
    assert server.connect().request().status == 200
    server.wait_for_log(r"pyodbc .*\[driver-blocks\]$")


def test_library_that_cancelled_requests_damage_is_reported(start: Start, tmp_path: Path) -> None:
    (tmp_path / "httpx.py").touch()
    (tmp_path / "shop.py").write_text("import httpx\nfrom probe import app\n")
    assert findings(start("shop:app", "--chdir", tmp_path)) == []
    server = start("shop:app", "--chdir", tmp_path, settings={"request_timeout_action": "cancel"})
    assert findings(server) == ["cancel-unsafe"]
    server.wait_for_log("request_timeout_action is 'cancel', and httpx is imported: a request that", since=0)


def test_other_module_with_the_name_of_a_driver_is_ignored(start: Start, tmp_path: Path) -> None:
    (tmp_path / "oracledb.py").touch()
    (tmp_path / "shop.py").write_text("import oracledb\nfrom probe import app\n")
    server = start("shop:app", "--chdir", tmp_path)
    assert server.connect().request().status == 200
    assert findings(server) == []


def test_psycopg2_wait_makes_psycopg2_cooperative(start: Start, hub: str, tmp_path: Path) -> None:
    pytest.importorskip("psycopg2")
    (tmp_path / "shop.py").write_text("import psycopg2\nfrom probe import app\n")
    # eventlet sets a wait callback by itself.
    server = start("shop:app", "--chdir", tmp_path)
    assert findings(server) == ["driver-blocks"] * (hub == "gevent")
    for line in server.log("driver-blocks", since=0):
        assert "worker_class = GeventWorker.configure(psycopg2='wait'). Or " in line
    assert findings(start("shop:app", "--chdir", tmp_path, settings={"psycopg2": "wait"})) == []


# Patching


def test_post_patch_runs_after_the_patch_and_before_the_application(
        start: Start, hub: str, tmp_path: Path) -> None:
    (tmp_path / "prepared.py").write_text(
        "import sys, socket\nready = []\ndef prepare(worker):\n"
        "    ready.append((type(worker).__name__, socket.socket.__module__, 'shop' in sys.modules))\n")
    (tmp_path / "shop.py").write_text(
        "import sys, prepared\nfrom probe import app\n"
        "print('ready', *prepared.ready[0], file=sys.stderr, flush=True)\n")
    server = start("shop:app", "--chdir", tmp_path, settings={"post_patch": "prepared:prepare"})
    (line,) = server.log("^ready ", since=0)
    _, name, module, loaded = line.split()
    assert name.lower() == f"{hub}worker"
    assert module.startswith(hub)
    assert loaded == "False"


def test_post_patch_may_be_a_function(start: Start, hub: str) -> None:
    config = ("import sys\ndef prepare(worker):\n    print('prepared', file=sys.stderr, flush=True)\n"
              + configured(hub, "post_patch=prepare"))
    server = start("probe:app", worker_class="from config", config=config)
    assert server.log("^prepared$", since=0)


def test_post_patch_may_have_no_parameter(start: Start, tmp_path: Path) -> None:
    (tmp_path / "prepared.py").write_text(
        "import sys\ndef prepare():\n    print('prepared', file=sys.stderr, flush=True)\n")
    server = start("probe:app", "--pythonpath", tmp_path, settings={"post_patch": "prepared:prepare"})
    assert server.log("^prepared$", since=0)


@pytest.mark.every_hub
def test_threads_of_post_patch_wait_on_the_hub(start: Start, tmp_path: Path) -> None:
    (tmp_path / "prepared.py").write_text(
        "import sys, threading, time\n"
        "def run():\n    time.sleep(0.01)\n    print('slept', file=sys.stderr, flush=True)\n"
        "def prepare():\n    threading.Thread(target=run, daemon=True).start()\n")
    server = start("probe:app", "--pythonpath", tmp_path, settings={"post_patch": "prepared:prepare"})
    server.wait_for_log("^slept$", since=0)


def test_post_patch_in_a_missing_module_is_refused(start: Start) -> None:
    line = refusal(start("probe:app", settings={"post_patch": "no_such_module:function"}, ready=False))
    assert "post_patch is 'no_such_module:function'" in line


def test_missing_post_patch_function_stops_the_start(start: Start) -> None:
    server = start("probe:app", settings={"post_patch": "os:no_such_function"}, ready=False)
    assert server.wait_for_exit() == 3
    (line,) = server.log(r"\[ERROR\] gworkers setting", since=0)
    assert "no_such_function" in line
    assert line.endswith("[invalid-setting]")
    assert not server.log("Traceback", since=0)


def test_psycopg2_wait_without_psycopg2_is_refused(start: Start) -> None:
    if importable("psycopg2"):
        pytest.skip("psycopg2 is installed")
    assert "pip install psycopg2" in refusal(start("probe:app", settings={"psycopg2": "wait"}, ready=False))


@pytest.mark.parametrize(("parts", "patched"), [
    ("all", {"socket", "thread"}), ("socket", {"socket"}), ("thread", {"thread"}), ("", set())])
@pytest.mark.smoke
def test_only_the_configured_parts_are_patched(
        start: Start, hub: str, tmp_path: Path, parts: str, patched: set[str]) -> None:
    (tmp_path / "shop.py").write_text(
        "import sys, socket, threading\nfrom probe import app\n"
        "print('parts', socket.socket.__module__, type(threading.Lock()).__module__, file=sys.stderr, flush=True)\n")
    server = start("shop:app", "--chdir", tmp_path, settings={"patch": parts})
    (line,) = server.log("^parts ", since=0)
    found = {name for name, module in zip(("socket", "thread"), line.split()[1:]) if module.startswith(hub)}
    assert found == patched
    assert server.connect().request().status == 200


@pytest.mark.smoke
def test_preload_without_a_patched_master_is_refused(start: Start, hub: str) -> None:
    server = start("probe:app", "--preload", ready=False)
    line = refusal(server)
    assert "[preload-unpatched]" in line
    assert "preload_app off" in line
    assert hub in line


def test_preload_works_if_no_part_is_patched(start: Start) -> None:
    assert start("probe:app", "--preload", settings={"patch": ""}).connect().request().status == 200


# Reload


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is warned")
@pytest.mark.parametrize("user", ["", "user = group = 65534\n"], ids=["root", "other user first"])
def test_running_as_root_is_logged_once_per_master(start: Start, user: str) -> None:
    server = start("probe:app", config=user)
    assert len(server.log(r"\[root\]$", since=0)) == (not user)
    file = server.directory / "gunicorn.conf.py"
    file.write_text(file.read_text().removeprefix(user))
    for count in (2, 3):
        server.signal(signal.SIGHUP)
        server.wait_for_log(r"^worker \d+ is ready$", count=count)
        assert len(server.log(r"\[WARNING\] Gunicorn runs as root .*\[root\]$", since=0)) == 1


BROKEN = {
    "syntax": "workers =",
    "setting": "from gworkers import GeventWorker\nworker_class = GeventWorker.configure(head_timout=5)\n",
    "preload": "preload_app = True\n",
    "class": "worker_class = 'gworkers.GevntWorker'\n",
    "module": "worker_class = 'gworkers.worker.green'\n",
    "nothing": "worker_class = 'gworkers.worker.green.GevntWorker'\n",
    "hook": "from gworkers import GeventWorker\nworker_class = GeventWorker.configure(post_patch='missing:hook')\n",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.smoke
@pytest.mark.sample(3)
def test_reload_with_a_broken_configuration_is_refused(start: Start, hub: str, kind: str) -> None:
    own_class = kind not in ("syntax", "preload")
    if own_class and hub != "gevent":
        pytest.skip("independent of the hub")
    server = start("probe:app", worker_class="from config" if own_class else "",
                   config="worker_class = 'gworkers.GeventWorker'\n" if own_class else "")
    good = (server.directory / "gunicorn.conf.py").read_text()
    refuses_reload(server, BROKEN[kind] if kind != "preload" else BROKEN[kind] + good)
    if kind == "syntax":
        server.expect_traceback("SyntaxError")


def test_dry_run_ends_without_standard_output(start: Start) -> None:
    server = start("probe:app", config="import sys\nsys.stdout = None\n")
    workers = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    assert server.connect().request().status == 200
    assert server.worker_pids()[-1:] != workers
    assert not server.log("Unhandled exception|Reload refused", since=0)


def test_dry_run_leaves_no_process(start: Start) -> None:
    server = start("probe:app")
    for count in range(2, 5):
        server.signal(signal.SIGHUP)
        server.wait_for_log(r"^worker \d+ is ready$", count=count)
    children = f"/proc/{server.pid}/task/{server.pid}/children"
    if not os.path.exists(children):
        pytest.skip("the system does not list children")
    from support.waiting import until

    until(lambda: Path(children).read_text().split() == [str(pid) for pid in server.worker_pids()], "one child")
