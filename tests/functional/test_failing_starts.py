"""A server that cannot start logs one plain reason, and exits."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.broken_installs import UNMEASURED, path, refuses_reload, unimportable, without_extensions
from support.deployment import Deployment
from support.server import Server
from support.startup import OTHER_PATCH, refusal

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

BOOT, LOAD = 3, 4
#: A variable of each library, for which there are invalid values.
VARIABLES = {"gevent": "GEVENT_LOOP", "eventlet": "EVENTLET_HUB"}


def reason_of(server: Server, code: str, status: int = BOOT) -> str:
    """Return the only line that the workers of a server that does not start log. There is no traceback."""
    assert server.wait_for_exit() == status, server.lines
    said = server.log(r"\[ERROR\] .* \[[a-z-]+\]$", since=0)
    assert len(said) == 1, server.lines
    assert said[0].endswith(f"[{code}]")
    assert not server.log("Traceback|HaltServer", since=0)
    assert len(server.log("Booting worker", since=0)) <= server.setup.workers
    return said[0]


@pytest.mark.smoke
def test_library_without_its_extensions(start: Start, hub: str, tmp_path: Path) -> None:
    lose = {"gevent": without_extensions, "eventlet": unimportable}[hub]
    server = start("probe:app", env={"PYTHONPATH": lose(tmp_path, hub)}, workers=3, ready=False)
    line = reason_of(server, "library-broken")
    assert re.search(rf"{hub} \d[\w.]* is installed but does not work \((Import|ModuleNotFound)Error: ", line)
    assert f"pip install --upgrade --force-reinstall {hub}" in line


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="greenlet is a part of PyPy")
def test_greenlet_without_its_extension(start: Start, tmp_path: Path) -> None:
    server = start("probe:app", env={"PYTHONPATH": without_extensions(tmp_path, "greenlet"), **UNMEASURED}, ready=False)
    line = refusal(server)
    assert "greenlet is installed but cannot be imported" in line
    assert line.endswith("[greenlet-broken]")


@pytest.mark.usefixtures("dnspython")
@pytest.mark.parametrize("variable", ["GEVENT_LOOP", "GEVENT_RESOLVER", "EVENTLET_HUB"])
@pytest.mark.smoke
def test_invalid_variable_of_the_library(start: Start, hub: str, variable: str) -> None:
    if not variable.startswith(hub.upper()):
        pytest.skip("a variable of the other library")
    line = reason_of(start("probe:app", env={variable: "nope"}, workers=3, ready=False), "library-broken")
    assert "nope" in line
    assert f"Correct {variable} in the environment" in line


@pytest.mark.smoke
def test_reload_with_a_broken_library_is_refused(start: Start, hub: str) -> None:
    server = start("probe:app")
    good = (server.directory / "gunicorn.conf.py").read_text()
    refuses_reload(server, f"raw_env = ['{VARIABLES[hub]}=nope']\n{good}")
    assert server.log(r"\[ERROR\] .*\[library-broken\]$")


def test_reload_with_an_invalid_setting_in_raw_env_is_refused(start: Start) -> None:
    server = start("probe:app", config="raw_env = ['GWORKERS_HEAD_TIMEOUT=3']\n")
    good = (server.directory / "gunicorn.conf.py").read_text()
    refuses_reload(server, good.replace("TIMEOUT=3", "TIMOUT=3"))
    assert server.log(r"\[ERROR\] .*'GWORKERS_HEAD_TIMOUT'.*\[invalid-setting\]$")


# Paths that settings name


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_worker_tmp_dir_is_not_a_directory(start: Start, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.touch()
    line = refusal(start("probe:app", "--worker-tmp-dir", place, ready=False))
    assert f"worker_tmp_dir is '{place}'" in line


def test_no_directory_for_temporary_files(start: Start, tmp_path: Path) -> None:
    # A container may have read-only file systems only.
    (tmp_path / "sitecustomize.py").write_text(
        "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/nowhere/to/be/found']\n")
    line = refusal(start("probe:app", env={"PYTHONPATH": path(tmp_path)}, ready=False))
    assert "worker_tmp_dir is not set" in line
    assert "/nowhere/to/be/found" in line


def test_reload_with_a_missing_worker_tmp_dir_is_refused(start: Start) -> None:
    server = start("probe:app")
    good = (server.directory / "gunicorn.conf.py").read_text()
    refuses_reload(server, f"worker_tmp_dir = '/nowhere/to/be/found'\n{good}")
    assert server.log(r"\[ERROR\] worker_tmp_dir .*\[invalid-setting\]$")


# Code of the user


def test_post_patch_that_raises(start: Start, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("def hook(worker):\n    {}['database']\n")
    server = start("probe:app", "--pythonpath", tmp_path, settings={"post_patch": "raising:hook"}, workers=3,
                   ready=False)
    assert server.wait_for_exit() == BOOT
    (line,) = server.log(r"post_patch has raised", since=0)
    assert re.search(r"KeyError: 'database' \(.*raising\.py:2\).*\[worker-setup-failed\]$", line)
    assert "raising.py" in server.expect_traceback("^KeyError: 'database'$")
    assert len(server.log("^Traceback", since=0)) == 1


def test_post_patch_with_a_syntax_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("def hook(:\n")
    server = start("probe:app", "--pythonpath", tmp_path, settings={"post_patch": "raising:hook"}, ready=False)
    assert server.wait_for_exit() == BOOT
    assert server.log(r"SyntaxError: .*raising\.py:1.*\[worker-setup-failed\]$", since=0)
    server.expect_traceback("^SyntaxError: ")


def test_post_patch_that_exits(start: Start, tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text("def hook(worker):\n    raise SystemExit('no database')\n")
    server = start("probe:app", "--pythonpath", tmp_path, settings={"post_patch": "ending:hook"}, workers=3,
                   ready=False)
    assert re.search(r"SystemExit: no database \(.*ending\.py:2\)", reason_of(server, "worker-setup-failed"))


@pytest.mark.parametrize("status", ["0", "1", "'no database'"])
@pytest.mark.smoke
@pytest.mark.sample(2)
def test_application_that_exits(start: Start, tmp_path: Path, status: str) -> None:
    (tmp_path / "ending.py").write_text(f"raise SystemExit({status})\n")
    server = start("ending:app", "--chdir", tmp_path, workers=3, ready=False)
    line = reason_of(server, "application", LOAD)
    assert re.search(rf"SystemExit: {status.strip(chr(39))} \(.*ending\.py:1\)", line)


def test_several_workers_that_fail_give_one_reason(start: Start, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("1 / 0\n")
    server = start("raising:app", "--chdir", tmp_path, workers=3, ready=False)
    assert server.wait_for_exit() == BOOT
    assert server.log("Reason: Worker failed to boot", since=0)
    assert not server.log("HaltServer: ", since=0)
    for _ in server.unexpected_tracebacks():
        server.expect_traceback("^ZeroDivisionError: ")


#: An application, factories, and objects that are not WSGI applications.
MISTAKEN = """
class App:
    def __call__(self, environ, start_response): ...
class Asgi:
    async def __call__(self, scope, receive, send): ...
class Needs:
    def __init__(self, config): ...
def create_app(): App()
def factory(config): return App()
async def asgi(scope, receive, send): ...
async def awaiting(environ, start_response): ...
app, wrong, nothing = App(), Asgi(), None
"""


def finding_of(server: Server, code: str) -> str:
    """Return the only finding that the workers of a server that does not start log."""
    assert server.wait_for_exit() != 0
    (line,) = server.log(r"\[ERROR\] .* \[[a-z-]+\]$", since=0)
    assert line.endswith(f"[{code}]")
    return line


@pytest.mark.parametrize(("app", "fix"), [
    ("nowhere:app", "Name it as module:variable"),
    ("probe:ap", "Name it as module:variable"),
    ("mistaken.py:app", "as a file: mistaken:app ["),
    ("./mistaken:app", "as a file: mistaken:app ["),
    ("place/other.py:app", "as a file: other:app and add --chdir place ["),
    (".mistaken", "as a file: mistaken:application ["),
    ("mistaken:app()", "name it mistaken:app ["),
    ("mistaken:awaiting()", "name it mistaken:awaiting ["),
    ("mistaken:wrong()", "a2wsgi.ASGIMiddleware(wrong) ["),
    ("mistaken:create_app()", "create_app() is None: is a return missing"),
    ("mistaken:nothing", "nothing is None: is a return missing"),
    ("mistaken:factory()", "'mistaken:factory(...)' ["),
    ("mistaken:Needs()", "'mistaken:Needs(...)' ["),
])
@pytest.mark.sample(4)
def test_application_that_is_misnamed(start: Start, tmp_path: Path, app: str, fix: str) -> None:
    """There is no traceback. It would show Gunicorn's code only."""
    (tmp_path / "mistaken.py").write_text(MISTAKEN)
    assert fix in finding_of(start(app, "--chdir", tmp_path, ready=False), "application")


@pytest.mark.parametrize(("app", "fix"), [
    ("create_app", "call it: 'mistaken:create_app()' ["),
    ("factory", "call it: 'mistaken:factory(...)' ["),
    ("App", "call it: 'mistaken:App()' ["),
    ("Needs", "call it: 'mistaken:Needs(...)' ["),
    ("wrong", "a2wsgi.ASGIMiddleware(wrong) ["),
    ("asgi", "a2wsgi.ASGIMiddleware(asgi) ["),
    ("awaiting", "Define it with def instead of async def"),
])
@pytest.mark.sample(3)
def test_application_that_is_not_wsgi(start: Start, tmp_path: Path, app: str, fix: str) -> None:
    (tmp_path / "mistaken.py").write_text(MISTAKEN)
    server = start(f"mistaken:{app}", "--chdir", tmp_path, workers=2, ready=False)
    assert fix in finding_of(server, "not-wsgi")
    assert server.wait_for_exit() == BOOT


def test_reload_of_an_application_that_is_not_wsgi_fails(start: Start, deployment: Deployment) -> None:
    server = start("deployed:app", *deployment.options)
    old = server.worker_pids()
    deployment.release("def app(): ...\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[ERROR\] Reload failed")
    assert server.connect().request().status == 200
    assert server.worker_pids() == old


@pytest.mark.log_handler(raises="Gunicorn logs that its reloader is on, and ends if it cannot")
def test_reloader_shows_that_an_application_is_not_wsgi(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mistaken.py").write_text(MISTAKEN)
    server = start("mistaken:create_app", "--reload", "--reload-engine", "poll", "--chdir", tmp_path)
    response = server.connect().request()
    assert response.status == 500
    assert "call it: 'mistaken:create_app()'" in response.text


@pytest.mark.parametrize(("code", "name", "shown"), [
    ("\ndef app(:\n", "app", ["  File *", "    def app(:"]),
    ("import nowhere_to_be_found\n", "app", [
        "Traceback (most recent call last):", "  File *", "    import nowhere_to_be_found",
        "ModuleNotFoundError: No module named 'nowhere_to_be_found'"]),
    ("class App:\n    def __init__(self): {}['x']\n", "App()", [
        "Traceback (most recent call last):", "  File *", "    def __init__(self): {}['x']", "KeyError: 'x'"]),
], ids=["syntax", "import", "factory"])
def test_traceback_begins_in_the_application(
        start: Start, tmp_path: Path, code: str, name: str, shown: list[str]) -> None:
    (tmp_path / "raising.py").write_text(code)
    server = start(f"raising:{name}", "--chdir", tmp_path, ready=False)
    said = finding_of(server, "application")
    lines = server.lines[server.lines.index(said) + 1:]
    # Some Python versions mark a part of the line.
    lines = [line for line in lines if set(line) - set(" ~^")]
    lines[lines.index(next(line for line in lines if line.startswith("  File ")))] = "  File *"
    assert lines[:len(shown)] == shown
    for _ in server.unexpected_tracebacks():
        server.expect_traceback("Error: ")


@pytest.mark.parametrize("module", ["uwsgi", "uwsgidecorators"])
def test_application_that_needs_the_module_of_uwsgi(module: str, start: Start, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text(f"from {module} import cron\n")
    server = start("raising:app", "--chdir", tmp_path, ready=False)
    line = finding_of(server, "application")
    assert f"Only a process of uWSGI has the module {module}. Remove the import: docs/migrate/uwsgi.md" in line
    server.expect_traceback("^ModuleNotFoundError: ")


def test_application_with_a_missing_module(start: Start, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("import nowhere_to_be_found\n")
    server = start("raising:app", "--chdir", tmp_path, ready=False)
    line = finding_of(server, "application")
    assert "Install the package that provides nowhere_to_be_found" in line
    assert "if the module is yours, add its directory to the import path: --chdir or --pythonpath" in line
    server.expect_traceback("^ModuleNotFoundError: ")


@pytest.mark.parametrize(("raised", "said", "status"), [
    ("{}['database']", "KeyError: 'database'", BOOT),
    ("raise SystemExit('no database')", "SystemExit: no database", LOAD),
])
def test_hook_that_raises(start: Start, raised: str, said: str, status: int) -> None:
    server = start("probe:app", config=f"def post_worker_init(worker):\n    {raised}\n", workers=2, ready=False)
    line = finding_of(server, "worker-setup-failed")
    assert f"post_worker_init has raised {said} (" in line
    assert "gunicorn.conf.py:" in line
    assert server.wait_for_exit() == status
    if status == BOOT:
        server.expect_traceback("^KeyError: 'database'$")


@pytest.mark.parametrize("file", ["nowhere/ready", ""])
def test_readiness_file_in_a_missing_directory(start: Start, tmp_path: Path, file: str) -> None:
    (tmp_path / "file").touch()
    server = start("probe:app", settings={"readiness_file": str(tmp_path / (file or "file/ready"))}, ready=False)
    assert "readiness_file" in refusal(server)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("preload", [False, True])
def test_configuration_that_patches_for_the_other_hub(start: Start, hub: str, preload: bool) -> None:
    server = start("probe:app", *["--preload"] * preload, config=OTHER_PATCH[hub], ready=False)
    assert refusal(server).endswith("[patched-by-other-library]")


@pytest.mark.log_handler(locked="the other hub patches the lock of the handler")
def test_application_that_patches_for_the_other_hub(start: Start, hub: str, tmp_path: Path) -> None:
    (tmp_path / "patching.py").write_text(OTHER_PATCH[hub] + "from probe import app\n")
    server = start("patching:app", "--pythonpath", tmp_path, ready=False)
    assert server.wait_for_exit() == BOOT
    (line,) = server.log(r"\[ERROR\] .*\]$", since=0)
    assert line.endswith("[patched-by-other-library]")


@pytest.mark.parametrize("parts", [["socket"], ["socket", "thread"]])
def test_preload_in_a_partly_patched_master(start: Start, hub: str, parts: list[str]) -> None:
    patch = {"gevent": "from gevent import monkey\n" + "".join(f"monkey.patch_{part}()\n" for part in parts),
             "eventlet": f"import eventlet\neventlet.monkey_patch(**dict.fromkeys({parts}, True))\n"}[hub]
    line = refusal(start("probe:app", "--preload", config=patch, ready=False))
    assert line.endswith("[preload-unpatched]")
    assert "time" in line
    server = start("probe:app", "--preload", config=patch, settings={"patch": ",".join(parts)})
    assert server.connect().request().status == 200


# Signals to workers that boot


FINALIZER = """
import os, signal, time
from probe import app
class Signalled:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
try:
    os.mkdir({first!r})
except FileExistsError:
    pass
else:
    Signalled()
    while True:
        time.sleep(0.01)
"""


def test_term_in_a_finalizer(start: Start, tmp_path: Path) -> None:
    """An exception there would only be reported. The worker exits a moment later."""
    (tmp_path / "finalizer.py").write_text(FINALIZER.format(first=str(tmp_path / "first")))
    server = start("finalizer:app", "--chdir", tmp_path)
    assert len(server.log("Booting worker", since=0)) == 2
    assert not server.log("Exception ignored", since=0)
