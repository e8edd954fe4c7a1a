"""A server that a script starts: :func:`serve`. It is Gunicorn with an application class of its own."""
from __future__ import annotations

import atexit
import os
import signal
import sys
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn import util
from gunicorn.app.base import Application

from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting
from gworkers.hubs import HUBS
from gworkers.settings import GUNICORN_SETTINGS, Settings
from gworkers.shared_state import SERVER_STATE
from gworkers.worker.green import EventletWorker, GeventWorker, GreenWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORKERS: dict[str, type[GreenWorker]] = {"gevent": GeventWorker, "eventlet": EventletWorker}
OWN_SETTINGS = frozenset(field.name for field in fields(Settings))
#: Settings of Gunicorn that :func:`serve` cannot have as keywords, with the fix for each.
REFUSED = {
    "config": "Pass the settings of the file as keywords, or start the server with: gunicorn -c FILE module:app",
    "paste": "Pass the application: paste.deploy.loadapp(...)",
    "worker_class": "Pass it as worker=...",
    "wsgi_app": "Pass it as the first argument",
}


def serve(app: Callable[..., Any] | str, bind: str | Sequence[str] = "127.0.0.1:8000",
          worker: str | type[GreenWorker] = "gevent", workers: int = 1, **settings: Any) -> NoReturn:
    """Serve *app* with Gunicorn until a signal stops it, then exit the process.

    Neither the command line of the script, ``GUNICORN_CMD_ARGS`` nor gunicorn.conf.py is read.

    :param app: a WSGI application, or its name as ``module:variable`` or ``module:function()``
    :param bind: the addresses, as in Gunicorn's setting: ``host:port``, ``unix:path`` or ``fd://number``
    :param worker: ``gevent``, ``eventlet``, or a worker class such as ``GeventWorker.configure(...)``
    :param workers: the number of worker processes
    :param settings: settings of Gunicorn and of gworkers by name; hooks are functions
    :raises SettingsError: if a setting is unknown or has an invalid value
    :raises RuntimeError: outside of the main thread, and in a worker
    """
    if SERVER_STATE.started_by_script:
        raise RuntimeError("gworkers.serve() was called a second time in this process or in one of its workers. Put "
                           "the call below: if __name__ == '__main__'")
    if not _is_main_thread():
        raise RuntimeError("gworkers.serve() must be called in the main thread and outside of greenlets, because "
                           "Gunicorn handles signals there")
    if not (callable(app) or isinstance(app, str)):
        raise SettingsError(invalid_setting(
            f"the application is {app!r}", "it cannot be called", "Pass a WSGI application, or its name: 'module:app'"))
    if settings.get("reload") and not isinstance(app, str):
        raise SettingsError(invalid_setting(
            "reload is on, but the application is an object", "changed code would not be loaded",
            "Pass its name: 'module:app'"))
    application = ScriptApplication(app, _configuration(bind, worker, workers, settings))
    SERVER_STATE.started_by_script = True
    master = os.getpid()
    try:
        application.run()
    except SystemExit as error:
        if os.getpid() != master:
            _exit_worker(error)
        raise
    raise SystemExit


class ScriptApplication(Application):  # type: ignore[misc]
    """Gunicorn's application object for an application of a script. A reload uses the same settings again.

    :param app: see :func:`serve`
    :param settings: Gunicorn's settings
    """

    def __init__(self, app: Callable[..., Any] | str, settings: Mapping[str, Any]) -> None:
        self._app = app
        self._settings = settings
        #: the name of the application, for error messages
        self.app_uri = app if isinstance(app, str) else None
        super().__init__()

    def do_load_config(self) -> None:
        self.load_default_config()
        self.load_config()
        # New in Gunicorn 27.
        if hasattr(self.cfg, "validate"):
            self.cfg.validate()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            try:
                self.cfg.set(name, value)
            except Exception as error:
                raise SettingsError(invalid_setting(
                    f"{name} cannot be {value!r}", str(error).rstrip("."), "Correct the value")) from None
        self.chdir()

    def load(self) -> Any:
        return util.import_app(self._app) if isinstance(self._app, str) else self._app


def _is_main_thread() -> bool:
    """Return whether this is the main greenlet of the main thread. Patched thread identifiers do not tell."""
    try:
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1))
    except ValueError:
        return False
    greenlet = sys.modules.get("greenlet")
    return greenlet is None or greenlet.getcurrent().parent is None


def _configuration(bind: str | Sequence[str], worker: str | type[GreenWorker], workers: int,
                   settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return Gunicorn's settings for the arguments of :func:`serve`."""
    own = {name: value for name, value in settings.items() if name in OWN_SETTINGS}
    for name in settings:
        if name in REFUSED or not (name in own or name in GUNICORN_SETTINGS):
            raise SettingsError(invalid_setting(
                f"gworkers.serve() has no setting {name!r}", "it would be ignored", _fix(name)))
    # Raises the error here. The worker class reads the environment, too.
    Settings.resolve(own, {})
    if isinstance(bind, str):
        bind = [bind]
    if not (isinstance(bind, (list, tuple)) and all(isinstance(address, str) for address in bind)):
        raise SettingsError(invalid_setting(
            f"bind is {bind!r}", "it is not an address", "Write 'host:port', 'unix:path' or a list of them"))
    # Gunicorn's default is the directory at the time when Gunicorn was imported.
    return {"default_proc_name": sys.argv[0], "chdir": os.getcwd(),
            **{name: value for name, value in settings.items() if name not in own},
            "bind": list(bind), "workers": workers, "worker_class": _worker_class(worker).configure(**own)}


def _fix(name: str) -> str:
    if name in REFUSED:
        return REFUSED[name]
    similar = get_close_matches(name, OWN_SETTINGS | GUNICORN_SETTINGS - REFUSED.keys(), n=1)
    return f"Did you mean {similar[0]}?" if similar else "docs/settings.md lists all settings"


def _worker_class(worker: str | type[GreenWorker]) -> type[GreenWorker]:
    if isinstance(worker, str) and worker in WORKERS:
        return WORKERS[worker]
    if isinstance(worker, type) and issubclass(worker, GreenWorker) and getattr(worker, "hub_name", None) in HUBS:
        return worker
    raise SettingsError(invalid_setting(
        f"worker is {worker!r}", "it is not a gworkers worker class",
        "Use 'gevent', 'eventlet', or a class such as gworkers.GeventWorker.configure(head_timeout=10)"))


def _exit_worker(error: SystemExit) -> NoReturn:
    """End this worker process without a return to the frames of the script, whose ``finally`` blocks are the master's.

    Exit handlers run as they do in Gunicorn's workers.
    """
    status = error.code if isinstance(error.code, int) else int(error.code is not None)
    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(status)
