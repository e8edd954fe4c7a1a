"""The arguments of ``gworkers.serve`` that are refused, and Gunicorn's settings for the others."""

from __future__ import annotations

import os
from typing import Any

import pytest

import gworkers
from gworkers.errors import SettingsError
from gworkers.script import OWN_SETTINGS, ScriptApplication
from gworkers.settings import GUNICORN_SETTINGS
from gworkers.shared_state import SERVER_STATE


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


@pytest.fixture(autouse=True)
def applications(monkeypatch: pytest.MonkeyPatch) -> list[ScriptApplication]:
    """The applications that would have been served."""
    ran: list[ScriptApplication] = []
    monkeypatch.setattr(SERVER_STATE, "started_by_script", False)
    monkeypatch.setattr(ScriptApplication, "run", lambda application: ran.append(application))
    return ran


@pytest.mark.parametrize(("arguments", "error"), [
    ({"wrokers": 2}, "serve() has no setting 'wrokers': it would be ignored. Did you mean workers? [invalid-setting]"),
    ({"zzz": 2}, "docs/settings.md lists all settings"),
    ({"head_timeout": -1}, "gworkers setting head_timeout is -1"),
    ({"timeout": "soon"}, "timeout cannot be 'soon'"),
    ({"post_fork": 1}, "post_fork cannot be 1"),
    ({"worker": "sync"}, "worker is 'sync': it is not a gworkers worker class. Use 'gevent', 'eventlet'"),
    ({"worker": object}, "it is not a gworkers worker class"),
    ({"worker_class": "sync"}, "Pass it as worker=..."),
    ({"config": "gunicorn.conf.py"}, "gunicorn -c FILE module:app"),
    ({"reload": True}, "reload is on, but the application is an object"),
    ({"app": None}, "the application is None: it cannot be called"),
    ({"bind": ("127.0.0.1", 8000)}, "bind is ('127.0.0.1', 8000): it is not an address"),
    ({"bind": 8000}, "bind is 8000: it is not an address"),
])
def test_wrong_argument_is_an_error_that_names_it(arguments: dict[str, Any], error: str,
                                                  applications: list[ScriptApplication]) -> None:
    with pytest.raises(SettingsError) as raised:
        gworkers.serve(**{"app": app, **arguments})
    assert error in str(raised.value)
    assert applications == []


def test_settings_of_both_are_keywords(applications: list[ScriptApplication]) -> None:
    with pytest.raises(SystemExit):
        gworkers.serve(app, bind=["127.0.0.1:0", "unix:/tmp/x"], worker="eventlet", workers=3, head_timeout=5,
                       accesslog="-", loglevel="debug")
    (application,) = applications
    cfg = application.cfg
    assert (cfg.bind, cfg.workers, cfg.accesslog, cfg.loglevel) == (["127.0.0.1:0", "unix:/tmp/x"], 3, "-", "debug")
    worker_class = cfg.settings["worker_class"].get()
    assert issubclass(worker_class, gworkers.EventletWorker)
    assert worker_class.overrides == {"head_timeout": 5}
    assert application.load() is app


def test_configured_worker_class_keeps_its_settings(applications: list[ScriptApplication]) -> None:
    with pytest.raises(SystemExit):
        gworkers.serve("module:app", worker=gworkers.GeventWorker.configure(head_timeout=5), body_timeout=6)
    (application,) = applications
    assert application.app_uri == "module:app"
    assert application.cfg.settings["worker_class"].get().overrides == {"head_timeout": 5, "body_timeout": 6}


def test_directory_of_the_script_does_not_change(applications: list[ScriptApplication], tmp_path: Any,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    # Gunicorn's default is the directory when Gunicorn was imported.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        gworkers.serve(app)
    assert os.getcwd() == str(tmp_path)
    assert applications[0].cfg.chdir == str(tmp_path)


def test_second_call_is_refused() -> None:
    with pytest.raises(SystemExit):
        gworkers.serve(app)
    with pytest.raises(RuntimeError, match="was called a second time"):
        gworkers.serve(app)


def test_settings_of_both_have_different_names() -> None:
    assert OWN_SETTINGS.isdisjoint(GUNICORN_SETTINGS)
