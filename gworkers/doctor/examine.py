"""``gworkers doctor``: a worker's start, step by step, up to the first request, and all that is found on the way."""
from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

from gunicorn import SERVER_SOFTWARE, util
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers import SUPPORTED_WORKERS

import gworkers
from gworkers import hubs
from gworkers.checks import application, config_file, configuration, deployment, drivers, requirements
from gworkers.checks.worker_class import non_class_finding
from gworkers.doctor.configured import Configured, Resolved, UsageError
from gworkers.doctor.report import Report, plain
from gworkers.error_text import describe
from gworkers.errors import GworkersError, SettingsError, StartError
from gworkers.findings import Finding
from gworkers.http1.fast import fast_parser
from gworkers.settings import Settings
from gworkers.versions import format_version, installed_version
from gworkers.worker.green import GreenWorker

USAGE = "%(prog)s [--json] [--all] [OPTIONS] [APP_MODULE]"


def examine(prog: str, printer: str | None) -> Report:
    """Start as Gunicorn and one worker would with ``sys.argv``, but without binding anything or forking.

    :param prog: what the command calls itself
    :param printer: a module to import once everything is patched, while this process has all its rights
    :raises UsageError: if that names no application, or a worker class that is none of gworkers'
    """
    report = Report(versions())
    try:
        configured = Configured(USAGE, prog=prog)
        # Gunicorn's master does both before it starts a worker.
        os.environ.update(configured.cfg.env, SERVER_SOFTWARE=SERVER_SOFTWARE)
        configured.cfg.address  # noqa: B018
    except (UsageError, KeyboardInterrupt):
        raise
    except Exception as error:
        report.findings.append(Finding(
            "configuration", describe(error), "Gunicorn does not start with such a configuration",
            "Mend what is named, and run this again", fatal=True))
        return report
    worker_class = green(configured.cfg)
    report.application, report.worker_class = configured.app_uri, plain(worker_class)
    report.gunicorn = configured.settings()
    if _judge(report, configured.cfg, worker_class):
        _boot(report, configured, worker_class, printer)
    report.findings.sort(key=lambda finding: not finding.fatal)
    return report


def versions() -> dict[str, str | None]:
    """Return what is installed, without importing any of it."""
    pypy = getattr(sys, "pypy_version_info", None)
    own = f" ({format_version(pypy[:3])})" if pypy else ""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}{own}",
        "gworkers": gworkers.__version__,
        "gunicorn": version("gunicorn"),
        **{name: installed_version(name) for name in ("greenlet", *hubs.HUBS, "gunicorn_h1c")},
    }


def green(cfg: Any) -> type[GreenWorker]:
    """Return the worker class, not set up yet, which would raise the first thing that is wrong.

    :raises UsageError: if there is none, or one that is none of gworkers'
    """
    named = cfg.settings["worker_class"].get()
    advice = f"name one of gworkers': -k gworkers.{'EventletWorker' if named == 'eventlet' else 'GeventWorker'}"
    # The newest Gunicorn has no eventlet worker, and says so in a traceback.
    if named in SUPPORTED_WORKERS or named == "eventlet":
        raise UsageError(f"the worker class is Gunicorn's {named!r}: {advice}")
    try:
        worker_class = util.load_class(named)
    except GworkersError as error:
        raise UsageError(str(error)) from None
    except Exception as error:
        # Gunicorn's own words have the whole traceback of that.
        cause = error.__context__ if isinstance(error, RuntimeError) and error.__context__ else error
        raise UsageError(f"the worker class {named!r} cannot be loaded: {describe(cause)}. If it is to be "
                         f"a green one, {advice}") from None
    if isinstance(worker_class, ModuleType):
        raise UsageError(str(non_class_finding(named)))
    if isinstance(worker_class, type) and issubclass(worker_class, GreenWorker) and hasattr(worker_class, "hub_name"):
        return worker_class
    raise UsageError(f"the worker class {plain(named)} is none of gworkers': {advice}")


def _judge(report: Report, cfg: Any, worker_class: type[GreenWorker]) -> bool:
    """Check what a master checks; return whether a worker can be tried."""
    overrides, hub = worker_class.overrides, worker_class.hub_name
    library = hubs.HUBS[hub].library
    found = requirements.check(requirements.inspect_runtime(library))
    settings = Settings()
    try:
        settings = Settings.resolve(overrides, os.environ)
        origins = Settings.origins(overrides, os.environ)
    except SettingsError as error:
        found.append(error.finding)
    else:
        report.settings = {name: Resolved(value, origins[name]) for name, value in vars(settings).items()}
        report.silence = settings.silence
    found += [*config_file.check(cfg, worker_class), *configuration.check_gworkers(settings, hub),
              *configuration.check_heartbeat_files(cfg)]
    report.findings += [*found, *configuration.check_gunicorn(cfg, settings, hub), *deployment.check(cfg, library)]
    report.parser = parser(cfg)
    return not any(finding.fatal for finding in found)


def parser(cfg: Any) -> str | None:
    """Return who parses request heads; None if the one that is wanted is missing."""
    try:
        fast = fast_parser(cfg)
    except SettingsError:
        return None
    if fast is not None:
        return f"gunicorn_h1c {installed_version('gunicorn_h1c') or ''}".rstrip()
    why = "http_parser is 'python'" if getattr(cfg, "http_parser", "auto") == "python" else "no gunicorn_h1c"
    return f"Gunicorn's in Python ({why})"


def _boot(report: Report, configured: Configured, worker_class: type[GreenWorker], printer: str | None) -> None:
    """Do what a worker does between its fork and its first request."""
    cfg = configured.cfg
    if os.geteuid() != 0 and (cfg.uid, cfg.gid) != (os.geteuid(), os.getegid()):
        report.findings.append(_unfit("user and group are not those that this runs as, and only root may change them",
                                      "Run it as root, as you start Gunicorn; or leave out user and group"))
        return
    # Not the configured one, which would create its files here, perhaps with an owner that a worker cannot write with.
    log = Logger(Config())
    try:
        worker = worker_class(0, os.getppid(), [], configured, cfg.timeout / 2, cfg, log)
        late = worker.prepare()
        facts = worker.hub.loop_info()
        if printer is not None:
            import_module(printer)
        util.set_owner_process(cfg.uid, cfg.gid, initgroups=cfg.initgroups)
    except StartError as error:
        report.findings.append(error.finding)
        return
    except Exception as error:
        report.findings.append(_unfit(describe(error), "Mend what is named"))
        return
    report.findings += late
    report.patched = hubs.patched_parts(worker.hub_name)
    report.hub = worker.hub.title
    report.backend, report.resolver = facts
    try:
        report.findings += application.check(configured.wsgi(), configured)
    except (Exception, SystemExit) as error:
        report.findings.append(application.unloadable(error, configured, _traceback(configured)))
    report.findings += drivers.check(worker.hub_name, set())


def _unfit(found: str, fix: str) -> Finding:
    return Finding("worker-setup-failed", f"a worker cannot be set up: {found}",
                   "workers end before they have loaded the application", fix, fatal=True)


def _traceback(configured: Configured) -> str:
    module, _, name = configured.app_uri.partition(":")
    if configured.cfg.paste is not None:
        return "Mend what is named"
    code = f"import {module}" + (f"; {module}.{name}" if "(" in name else "")
    try:
        compile(code, "", "exec")
    except (SyntaxError, ValueError):
        return "Mend what is named"
    cfg = configured.cfg
    # The values may be secrets.
    given = ", with raw_env's variables in the environment" if cfg.raw_env else ""
    path = f"PYTHONPATH={shlex.quote(cfg.pythonpath.replace(',', os.pathsep))} " if cfg.pythonpath else ""
    return (f"See the whole traceback{given}: "
            f"cd {shlex.quote(os.getcwd())}; {path}{sys.executable} -c {shlex.quote(code)}")
