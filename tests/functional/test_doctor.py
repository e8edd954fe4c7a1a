"""``gworkers doctor``: what it finds in setups that are fine, and in those that are not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import gworkers
from gworkers.settings import Settings
from support.doctor_run import HELLO, HUB, Run, environment
from support.launch import GUNICORN_SETTINGS, WORKERS, hubs
from support.startup import OTHER_PATCH

CLASS = WORKERS[HUB].rpartition(".")[2]


# Deployments without errors


@pytest.mark.smoke
def test_good_deployment_has_no_fatal_finding(ask: Run, hub: str) -> None:
    result = ask(hub=hub)
    assert result.err == ""
    report = result.report
    assert report["ok"]
    assert report["application"] == "hello:app"
    assert report["worker_class"] == f"gworkers.worker.green.{WORKERS[hub].rpartition('.')[2]}"
    versions = report["versions"]
    assert set(versions) == {"python", "gworkers", "gunicorn", "greenlet", "gevent", "eventlet"}
    assert versions["python"].split()[1] == sys.version.split()[0]
    assert versions["gworkers"] == gworkers.__version__
    assert report["hub"] == f"{hub} {versions[hub]}"
    for key in ("backend", "resolver", "parser"):
        assert report[key], key
    assert {"socket", "time", "select"} <= set(report["patched"])
    assert set(report["settings"]) == {field.name for field in fields(Settings)}


def test_application_factory_is_called(run: Run) -> None:
    app = f"{HELLO}\ndef create_app(): return app\n"
    result = run("doctor", "--json", "-k", WORKERS[HUB], "hello:create_app()", app=app)
    assert result.report["application"] == "hello:create_app()"
    assert result.status == 0


def test_application_is_loaded_with_no_more_imports_than_in_a_worker(ask: Run, hub: str) -> None:
    others = {"gevent", "eventlet", "rich"} - {hub}
    assert ask(hub=hub, app=f"import sys\nassert not {others!r} & set(sys.modules)\n{HELLO}").report["ok"]


def test_loop_and_resolver_follow_the_environment(ask: Run) -> None:
    if "gevent" not in hubs():
        pytest.skip("gevent's variables")
    report = ask(hub="gevent", env={"GEVENT_RESOLVER": "block", "GEVENT_BACKEND": "poll"}).report
    assert report["resolver"] == "blocking"
    assert "poll" in report["backend"]
    assert "epoll" not in report["backend"]


def test_parser_is_reported(ask: Run) -> None:
    assert ask().report["parser"].startswith("gworkers' fast parser")
    if "http_parser" in GUNICORN_SETTINGS:
        assert ask(config="http_parser = 'fast'\n").report["parser"].startswith("gworkers' fast parser")
        assert ask(config="http_parser = 'python'\n").report["parser"].startswith("Gunicorn's Python parser")


def test_unpatched_parts_are_not_reported_as_patched(ask: Run, hub: str) -> None:
    report = ask(hub=hub, env={"GWORKERS_PATCH": "time"}).report
    assert "time" in report["patched"]
    assert "socket" not in report["patched"]


def test_output_of_user_code_goes_to_stderr(ask: Run) -> None:
    printing = "import os\nprint('{0} prints')\nos.write(1, b'{0} writes\\n')\n"
    result = ask(config=printing.format("file"), app=printing.format("application") + HELLO)
    assert result.report["ok"]
    assert sorted(result.err.split("\n")) == [
        "", "application prints", "application writes", "file prints", "file writes"]


def test_post_patch_is_called_before_the_application_is_loaded(ask: Run, place: Path) -> None:
    (place / "hook.py").write_text("def run(worker):\n    import hook\n    hook.ran = type(worker).__name__\n")
    result = ask(app=f"import hook\nassert hook.ran == {CLASS!r}\n{HELLO}", env={"GWORKERS_POST_PATCH": "hook:run"})
    assert result.report["ok"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the user")
def test_application_is_loaded_as_the_configured_user(ask: Run) -> None:
    app = f"import os\nassert os.getuid() == os.getgid() == 65534\n{HELLO}"
    result = ask("--user", "65534", "--group", "65534", app=app)
    assert result.report["ok"]
    assert "root" not in [finding["code"] for finding in result.findings]


def test_running_thread_does_not_delay_the_exit(ask: Run) -> None:
    app = f"import threading\nthreading.Thread(target=threading.Event().wait).start()\n{HELLO}"
    assert ask(app=app).report["ok"]


def test_chdir_and_pythonpath_are_applied(run: Run, place: Path) -> None:
    (place / "site").mkdir()
    (place / "library").mkdir()
    shutil.move(place / "hello.py", place / "site" / "hello.py")
    (place / "library" / "more.py").write_text("")
    (place / "site" / "hello.py").write_text(f"import more\n{HELLO}")
    words = ["--chdir", "site", "--pythonpath", str(place / "library"), "-k", WORKERS[HUB], "hello:app"]
    assert run("doctor", "--json", *words).report["ok"]


# Origins of settings


def test_origins_of_settings_of_gunicorn(ask: Run, place: Path) -> None:
    result = ask(
        "--graceful-timeout", "7",
        config="timeout = 9\nworkers = 4\ngraceful_timeout = 8\nkeepalive = 2\ndef pre_request(worker, req): pass\n",
        env={"GUNICORN_CMD_ARGS": "--timeout 11 --threads 3", "WEB_CONCURRENCY": "3", "PORT": "7999"})
    file = f"configuration file {place}/gunicorn.conf.py"
    assert {name: (row["value"], row["origin"]) for name, row in result.report["gunicorn"].items()} == {
        "bind": (["0.0.0.0:7999"], "environment variable PORT"),
        "graceful_timeout": (7, "command line"),
        "pre_request": ("__config__.pre_request", file),
        "threads": (3, "GUNICORN_CMD_ARGS"),
        "timeout": (11, "GUNICORN_CMD_ARGS"),
        "worker_class": (WORKERS[HUB], "command line"),
        "workers": (4, file),
    }


def test_origins_of_settings_of_gworkers(run: Run) -> None:
    result = run(
        "doctor", "--json", "--env", "GWORKERS_BODY_TIMEOUT=3", "hello:app",
        config=f"from gworkers import {CLASS}\nworker_class = {CLASS}.configure(head_timeout=1, silence=['root'])\n",
        env={"GWORKERS_HEAD_TIMEOUT": "2", "GWORKERS_WRITE_TIMEOUT": "2"})
    settings = result.report["settings"]
    assert settings["head_timeout"] == {"value": 1.0, "origin": "configure()"}
    assert settings["silence"] == {"value": ["root"], "origin": "configure()"}
    assert settings["body_timeout"] == {"value": 3.0, "origin": "environment variable GWORKERS_BODY_TIMEOUT"}
    assert settings["write_timeout"] == {"value": 2.0, "origin": "environment variable GWORKERS_WRITE_TIMEOUT"}
    assert {row["origin"] for name, row in settings.items()
            if name not in ("head_timeout", "silence", "body_timeout", "write_timeout")} == {"default"}


def test_configuration_file_may_name_the_application(run: Run, place: Path) -> None:
    (place / "other.py").write_text(f"wsgi_app = 'hello:app'\nworker_class = {WORKERS[HUB]!r}\n")
    report = run("doctor", "--json", "-c", "other.py").report
    assert report["application"] == "hello:app"
    assert report["gunicorn"]["wsgi_app"]["origin"] == "configuration file other.py"


def test_values_of_raw_env_are_hidden(ask: Run) -> None:
    result = ask("--env", "PASSWORD=sesame")
    assert result.report["gunicorn"]["raw_env"]["value"] == ["PASSWORD=..."]
    assert "sesame" not in result.out + result.err


# Warnings


def test_deployment_warnings_are_reported(ask: Run) -> None:
    result = ask("--bind", "0.0.0.0:8000", "--forwarded-allow-ips", "*", "--keep-alive", "5")
    assert result.report["ok"]
    for code in ("trusts-everyone", "keepalive-short"):
        assert not result.finding(code)["fatal"]


def test_blocking_driver_is_reported(ask: Run, place: Path) -> None:
    (place / "MySQLdb.py").write_text("")
    result = ask(app=f"import MySQLdb\n{HELLO}")
    assert result.report["ok"]
    assert "MySQLdb" in result.finding("driver-blocks")["problem"]
    assert "post_fork" not in result.finding("driver-blocks")["fix"]


def test_blocking_driver_that_a_hook_may_change_is_reported_with_a_hint(ask: Run, place: Path) -> None:
    (place / "MySQLdb.py").write_text("")
    result = ask(app=f"import MySQLdb\n{HELLO}", config="def post_fork(server, worker): pass\n")
    assert "If post_fork makes it cooperative, workers do not report this" in result.finding("driver-blocks")["fix"]


def test_async_views_are_reported(ask: Run) -> None:
    pytest.importorskip("flask")
    app = "import flask\napp = flask.Flask('hello')\n@app.get('/')\nasync def index():\n    return 'hello'\n"
    result = ask(app=app)
    assert result.report["ok"]
    assert "hello.index" in result.finding("asyncio-conflict")["problem"]


def test_library_that_cancelled_requests_damage_is_reported(ask: Run, place: Path) -> None:
    (place / "httpx.py").write_text("")
    result = ask(app=f"import httpx\n{HELLO}", env={"GWORKERS_ON_CLIENT_GONE": "cancel"})
    assert result.report["ok"]
    assert "httpx" in result.finding("cancel-unsafe")["problem"]


def test_import_before_the_patch_is_reported(ask: Run, place: Path, hub: str) -> None:
    (place / "early.py").write_text("from time import sleep\n")
    result = ask(config="import early\n", hub=hub)
    assert result.report["ok"]
    assert re.search(r"\bearly\b.*time\.sleep.*gunicorn\.conf\.py", result.finding("imported-too-early")["problem"])


def test_silenced_findings_are_hidden_in_text_and_marked_in_json(ask: Run, run: Run, place: Path) -> None:
    pytest.importorskip("rich")
    words = ["-k", WORKERS[HUB], "--forwarded-allow-ips", "*", "--bind", "0.0.0.0:8000", "hello:app"]
    env = {"GWORKERS_SILENCE": "trusts-everyone"}
    result = run("doctor", "--json", *words, env=env)
    assert result.finding("trusts-everyone")["silenced"]
    assert not result.finding("keepalive-short")["silenced"]
    shown = run("doctor", *words, env=env).out
    assert "keepalive-short" in shown
    assert result.finding("trusts-everyone")["problem"] not in shown
    assert "Silenced: trusts-everyone." in shown


# Fatal findings


@pytest.mark.parametrize(("app", "expected"), [
    ("import nowhere_to_be_found\n", r"ModuleNotFoundError: No module named 'nowhere_to_be_found' \(.*hello\.py:1\)"),
    ("\n\n1 / 0\n", r"ZeroDivisionError: division by zero \(.*hello\.py:3\)"),
    ("def app(:\n", r"SyntaxError: .*hello\.py:1"),
    ("raise SystemExit(5)\n", r"SystemExit: 5 \(.*hello\.py:1\)"),
    ("raise ValueError('two\\nlines and \\x1b[31m')\n", r"two lines and \\x1b\[31m"),
    ("apple = 1\n", r"Failed to find attribute 'app'"),
    ("app = 1\n", r"must be callable"),
], ids=["import", "raises", "syntax", "exits", "unprintable", "nameless", "uncallable"])
@pytest.mark.sample(3)
def test_broken_application_is_reported(ask: Run, hub: str, app: str, expected: str) -> None:
    result = ask(app=app, hub=hub)
    finding = result.finding("application")
    assert result.status == 1
    assert re.search(expected, finding["problem"])
    assert result.report["patched"]


@pytest.mark.parametrize("broken", [False, True])
def test_application_that_patches_for_the_other_hub_is_reported(ask: Run, hub: str, broken: bool) -> None:
    result = ask(app=f"{OTHER_PATCH[hub]}\n{'1 / 0' if broken else HELLO}", hub=hub)
    assert result.status == 1
    assert result.finding("patched-by-other-library")["fatal"]
    assert not {"application", "early-greenlets"} & {finding["code"] for finding in result.findings}


def test_configuration_that_patches_for_the_other_hub_is_reported_once(ask: Run, hub: str) -> None:
    result = ask(config=OTHER_PATCH[hub], hub=hub)
    assert result.status == 1
    assert result.finding("patched-by-other-library")["fatal"]


def test_factory_without_brackets_is_reported(ask: Run) -> None:
    result = ask(app="def app():\n    return None\n")
    assert result.status == 1
    finding = result.finding("not-wsgi")
    assert finding["fatal"]
    assert "too many positional arguments" in finding["problem"]
    assert "hello:app()" in finding["fix"]


@pytest.mark.parametrize("name", ["./hello:app", "hello.py:app"])
def test_application_named_as_a_file_is_reported(run: Run, name: str) -> None:
    fix = run("doctor", "--json", "-k", WORKERS[HUB], name, app=HELLO).finding("application")["fix"]
    assert fix.endswith("as a file: hello:app")


def test_no_traceback_command_for_a_module_that_cannot_be_imported_by_name(run: Run, place: Path) -> None:
    (place / "my-app.py").write_text("1 / 0\n")
    finding = run("doctor", "--json", "-k", WORKERS[HUB], "my-app:app").finding("application")
    assert "ZeroDivisionError" in finding["problem"]
    assert finding["fix"] == "Correct the error named above, then run this again"


@pytest.mark.parametrize(("config", "expected"), [
    ("head_timeout = 5\n", f"from gworkers import {CLASS}; worker_class = {CLASS}.configure(head_timeout=...);"),
    ("wrokers = 2\n", "Did you mean workers?"), ("def when_raedy(server): pass\n", "Did you mean when_ready?"),
    ("preload = True\n", "Did you mean preload_app?"),
])
def test_ignored_setting_is_reported(ask: Run, config: str, expected: str) -> None:
    result = ask(config=config)
    assert result.status == 0
    assert expected in result.finding("setting-ignored")["fix"]


def test_names_used_in_the_configuration_are_not_reported(ask: Run) -> None:
    result = ask(config="import os\nbind_to = '127.0.0.1:0'\nbind = bind_to\ndrain_delay = 1\nworkers = drain_delay\n"
                       "names: list[str] = []\n")
    assert "setting-ignored" not in [finding["code"] for finding in result.findings]


def test_missing_application_is_reported(run: Run) -> None:
    finding = run("doctor", "--json", "-k", WORKERS[HUB], "nowhere.to_be:found").finding("application")
    assert "--chdir" in finding["fix"]


def test_traceback_command_works(ask: Run) -> None:
    fix = ask(app="raise ValueError('deep down')").finding("application")["fix"]
    done = subprocess.run(fix.partition(": ")[2], shell=True, env=environment(), stderr=subprocess.PIPE, text=True,
                          timeout=60, check=False)
    assert "ValueError: deep down" in done.stderr


def test_traceback_command_sets_pythonpath_but_not_raw_env(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("import os\nraise ValueError(os.environ['COLOUR'])\n")
    fix = run("doctor", "--json", "-k", WORKERS[HUB], "--pythonpath", str(tmp_path), "--env", "COLOUR=green",
               "elsewhere:app").finding("application")["fix"]
    text, _, command = fix.partition(": ")
    assert "raw_env" in text
    done = subprocess.run(command, shell=True, env={**environment(), "COLOUR": "green"}, stderr=subprocess.PIPE,
                          text=True, timeout=60, check=False)
    assert "ValueError: green" in done.stderr


@pytest.mark.parametrize(("config", "expected"), [
    ("workers = 'many'\n", "workers cannot be 'many'"),
    ("import nowhere_to_be_found\n", r"No module named 'nowhere_to_be_found' \(.*gunicorn\.conf\.py:1\)"),
    ("workers = (\n", r"SyntaxError: .*gunicorn\.conf\.py:1"),
    ("import sys; sys.exit('no')\n", "gunicorn.conf.py ended the process with status 'no'"),
    ("raw_env = ['nonsense']\n", "nonsense"),
    ("bind = '127.0.0.1:http'\n", "http"),
    ("user = 'nobody of that name'\n", "user cannot be 'nobody of that name'"),
], ids=["value", "import", "syntax", "exits", "raw_env", "bind", "user"])
@pytest.mark.sample(3)
def test_broken_configuration_is_reported(ask: Run, config: str, expected: str) -> None:
    result = ask(config=config)
    assert result.status == 1
    assert re.search(expected, result.finding("configuration")["problem"])
    assert result.report["hub"] is None


def test_missing_configuration_file_is_reported(ask: Run) -> None:
    assert "nowhere.py" in ask("-c", "nowhere.py").finding("configuration")["problem"]


@pytest.mark.parametrize(("name", "value"), [("HEAD_TIMOUT", "1"), ("HEAD_TIMEOUT", "soon"), ("PATCH", "everything"),
                                             ("SILENCE", "everyone")])
def test_invalid_setting_of_gworkers_is_reported(ask: Run, name: str, value: str) -> None:
    result = ask(env={f"GWORKERS_{name}": value})
    assert result.status == 1
    assert name.lower() in result.finding("invalid-setting")["problem"].lower()
    assert result.report["patched"] is None


def test_invalid_setting_of_gunicorn_is_reported(ask: Run) -> None:
    result = ask("--certfile", "nowhere.pem")
    assert result.status == 1
    assert "nowhere.pem" in result.finding("invalid-setting")["problem"]
    # Other problems are reported too.
    assert result.report["patched"]


@pytest.mark.skipif("http_protocols" not in GUNICORN_SETTINGS, reason="this Gunicorn has no such setting")
@pytest.mark.parametrize("protocols", ["h2", "h2,h1"])
def test_http2_is_refused_without_advice_to_install_h2(ask: Run, protocols: str) -> None:
    result = ask("--http-protocols", protocols)
    assert result.status == 1
    assert [finding["problem"] for finding in result.findings if finding["fatal"]] == ["http_protocols has h2"]
    assert "gunicorn[http2]" not in result.out + result.err


def test_invalid_port_is_reported(ask: Run) -> None:
    result = ask("--bind", "127.0.0.1:99999")
    assert result.status == 1
    assert result.finding("invalid-setting")["problem"] == "bind has port 99999"


def test_preload_without_a_patch_is_fatal(ask: Run, hub: str) -> None:
    result = ask("--preload", hub=hub)
    assert result.status == 1
    assert result.finding("preload-unpatched")["fatal"]


def test_preload_with_a_patch_is_fine(ask: Run, hub: str) -> None:
    patch = {"gevent": "from gevent.monkey import patch_all as patch\n",
             "eventlet": "from eventlet import monkey_patch as patch\n"}
    assert ask("--preload", config=f"{patch[hub]}patch()\n", hub=hub).report["ok"]


@pytest.mark.parametrize(("env", "code", "expected"), [
    ({"GWORKERS_POST_PATCH": "os:nowhere_to_be_found"}, "invalid-setting", "os:nowhere_to_be_found"),
    ({"GWORKERS_POST_PATCH": "hook:raises"}, "worker-setup-failed", "KeyError: 'database'"),
    ({"GWORKERS_POST_PATCH": "hook:leaves"}, "worker-setup-failed", "SystemExit: no database"),
    ({"GUNICORN_CMD_ARGS": "--worker-tmp-dir /nowhere/to/be/found"}, "invalid-setting", "/nowhere/to/be/found"),
])
@pytest.mark.sample(2)
def test_failing_worker_setup_is_reported(ask: Run, place: Path, env: dict[str, str], code: str, expected: str) -> None:
    (place / "hook.py").write_text("def raises(worker): {}['database']\n"
                                   "def leaves(worker): raise SystemExit('no database')\n")
    result = ask(env=env)
    assert result.status == 1
    assert expected in result.finding(code)["problem"]
    assert [finding["code"] for finding in result.findings if finding["fatal"]] == [code]
    assert result.report["patched"] is None
