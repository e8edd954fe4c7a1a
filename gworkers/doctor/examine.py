"""``gworkers doctor``: the start of a worker, step by step up to the first request, and its findings."""
from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from importlib import import_module

from gunicorn import SERVER_SOFTWARE, util
from gunicorn.config import Config
from gunicorn.glogging import Logger

from gworkers import gunicorn_compat, hubs
from gworkers.checks import (
    application,
    async_views,
    config_file,
    configuration,
    database_connections,
    deployment,
    libraries,
    requirements,
)
from gworkers.django_views import load_views, urlconf
from gworkers.doctor import installed
from gworkers.doctor.gunicorn_application import GunicornApplication, SettingValue, UsageError
from gworkers.doctor.report import Report, plain
from gworkers.doctor.worker_class import load_worker_class
from gworkers.error_text import describe
from gworkers.errors import SettingsError, StartError
from gworkers.findings import Finding
from gworkers.settings import Settings
from gworkers.worker.green import GreenWorker

USAGE = "%(prog)s [--json] [--all] [OPTIONS] [APP_MODULE]"
FIX_SETTING = "Correct the setting named above, then run this again"
FIX_ERROR = "Correct the error named above, then run this again"


def examine(prog: str, printer: str | None) -> Report:
    """Go through the start of a master and one worker with ``sys.argv``, without binding addresses or forking.

    :param prog: the name of the command in messages
    :param printer: a module to import after the patch, before the process drops its privileges
    :raises UsageError: if ``sys.argv`` names no application, or a class that is not a gworkers worker class
    """
    report = Report(installed.versions())
    try:
        app = GunicornApplication(USAGE, prog=prog)
        # Gunicorn's master does both before it starts a worker.
        os.environ.update(app.cfg.env, SERVER_SOFTWARE=SERVER_SOFTWARE)
        app.cfg.address  # noqa: B018
    except (UsageError, KeyboardInterrupt):
        raise
    except Exception as error:
        report.findings.append(Finding(
            "configuration", describe(error), "Gunicorn cannot start with this configuration",
            FIX_SETTING, fatal=True))
        return report
    worker_class = load_worker_class(app.cfg)
    report.application, report.worker_class = app.app_uri, plain(worker_class)
    report.gunicorn = app.changed_settings()
    if _check_configuration(report, app, worker_class):
        _boot_worker(report, app, worker_class, printer)
    report.findings.sort(key=lambda finding: not finding.fatal)
    return report


def _check_configuration(report: Report, app: GunicornApplication, worker_class: type[GreenWorker]) -> bool:
    """Run the checks of the master. Return whether to boot a worker."""
    cfg, hub = app.cfg, worker_class.hub_name
    library = hubs.HUBS[hub].library
    found = requirements.check(requirements.inspect_runtime(library))
    settings = Settings()
    try:
        settings = Settings.resolve(worker_class.overrides, os.environ)
        origins = Settings.origins(worker_class.overrides, os.environ)
    except SettingsError as error:
        found.append(error.finding)
    else:
        report.settings = {name: SettingValue(value, origins[name]) for name, value in vars(settings).items()}
        report.silence = settings.silence
        found += deployment.check_status(settings)
    found += [*config_file.check(cfg, worker_class), *configuration.check_gworkers(settings, hub),
              *configuration.check_heartbeat_files(cfg)]
    report.findings += [*found, *configuration.check_gunicorn(cfg, settings, hub), *deployment.check(cfg, library),
                        *gunicorn_compat.check()]
    report.parser = installed.parser(cfg)
    return not any(finding.fatal for finding in found)


def _boot_worker(
        report: Report, app: GunicornApplication, worker_class: type[GreenWorker], printer: str | None) -> None:
    """Do what a worker does between its fork and its first request."""
    cfg = app.cfg
    if os.geteuid() != 0 and (cfg.uid, cfg.gid) != (os.geteuid(), os.getegid()):
        report.findings.append(_setup_failure(
            "only root may switch to the configured user and group",
            "Run this as root, as you start Gunicorn; or remove user and group"))
        return
    # The default configuration: the configured one would create log files, perhaps with the wrong owner.
    log = Logger(Config())
    try:
        worker = worker_class(0, os.getppid(), [], app, cfg.timeout / 2, cfg, log)
        patch_findings = worker.prepare()
        loop_info = worker.hub.loop_info()
        if printer is not None:
            import_module(printer)
        util.set_owner_process(cfg.uid, cfg.gid, initgroups=cfg.initgroups)
    except StartError as error:
        report.findings.append(error.finding)
        return
    except Exception as error:
        report.findings.append(_setup_failure(describe(error), FIX_ERROR))
        return
    report.findings += patch_findings
    report.patched = hubs.patched_parts(worker.hub_name)
    report.hub = worker.hub.title
    report.backend, report.resolver = loop_info
    # A patch by gunicorn.conf.py has been reported before.
    report.findings += [finding for finding in _load_application(app, worker) if finding not in report.findings]
    found = libraries.check(worker.hub_name, worker.settings, set())
    report.findings += map(_despite_hook, found) if "post_fork" in report.gunicorn else found
    report.findings += database_connections.check(cfg, worker.settings)


def _load_application(app: GunicornApplication, worker: GreenWorker) -> list[Finding]:
    """Load the application in the process of *worker*. Return findings about it."""
    try:
        wsgi = app.wsgi()
        found = [*application.check(wsgi, app),
                 *async_views.check(wsgi, load_views(), worker.settings.asyncio_thread)]
    except (Exception, SystemExit) as error:
        found = [application.load_failure(error, app, _traceback_fix(app))]
    conflict = configuration.other_patch_finding(worker.hub_name)
    # Most likely an error is a consequence of the conflict.
    return found if conflict is None else [conflict]


def _despite_hook(finding: Finding) -> Finding:
    """Return *finding* about a library, which the hook ``post_fork`` may make untrue in a worker."""
    if finding.code != "driver-blocks":
        return finding
    return replace(finding, fix=f"{finding.fix}. If post_fork makes it cooperative, workers do not report this: "
                                "this command calls no hooks")


def _setup_failure(problem: str, fix: str) -> Finding:
    return Finding("worker-setup-failed", f"a worker cannot be set up: {problem}",
                   "workers exit before they load the application", fix, fatal=True)


def _traceback_fix(app: GunicornApplication) -> str:
    """Return a fix with a command that shows the whole traceback of the application, if there is such a command."""
    module, _, name = app.app_uri.partition(":")
    if app.cfg.paste is not None:
        return FIX_ERROR
    code = f"import {module}" + (f"; {module}.{name}" if "(" in name else "")
    # Django imports the URLs and the views later.
    urls = urlconf()
    if urls is not None:
        code += f"; import {urls}"
    try:
        compile(code, "", "exec")
    except (SyntaxError, ValueError):
        return FIX_ERROR
    # The values of raw_env may be secrets, so the command does not contain them.
    raw_env = " (with the variables of raw_env in the environment)" if app.cfg.raw_env else ""
    path = f"PYTHONPATH={shlex.quote(app.cfg.pythonpath.replace(',', os.pathsep))} " if app.cfg.pythonpath else ""
    return (f"Show the whole traceback{raw_env}: "
            f"cd {shlex.quote(os.getcwd())}; {path}{sys.executable} -c {shlex.quote(code)}")
