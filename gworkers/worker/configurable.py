"""The part of a worker class that Gunicorn's master calls, before it forks."""
from __future__ import annotations

import os
import sys
from typing import Any

from gworkers import gunicorn_compat, hubs
from gworkers.checks import config_file, configuration, deployment, early_greenlets, requirements
from gworkers.errors import RequirementError, SettingsError, StartError
from gworkers.findings import Finding, invalid_setting
from gworkers.gunicorn_internals import Feature
from gworkers.master.install import install_when_ready
from gworkers.settings import Settings
from gworkers.shared_state import SERVER_STATE
from gworkers.systemd import NOTIFIER
from gworkers.worker.boot import BootableWorker


class ConfigurableWorker(BootableWorker):
    """A worker class with settings. Its settings and its requirements are checked in the master."""

    @classmethod
    def configure(cls, **settings: object) -> type[ConfigurableWorker]:
        """Return a subclass with *settings* of gworkers, for ``worker_class`` in gunicorn.conf.py.

        The settings are checked when Gunicorn starts, which prints an error as one line. For an exception in the
        configuration file it would print a traceback.
        """
        return type(cls.__name__, (cls,), {"overrides": {**cls.overrides, **settings}, "__module__": cls.__module__})

    @classmethod
    def setup(cls) -> None:
        """Check what can be checked before the fork. Gunicorn calls this when it looks up the class.

        :raises RequirementError: if the runtime does not meet the requirements of a worker
        :raises SettingsError: if a setting of gworkers is unknown or has an invalid value
        """
        try:
            if not hasattr(cls, "hub_name"):
                raise SettingsError(invalid_setting(
                    f"the worker class {cls.__name__} has no hub", "it is a base class of other worker classes",
                    "Use gworkers.GeventWorker or gworkers.EventletWorker"))
            if cls.hub_name not in hubs.HUBS:
                raise SettingsError(invalid_setting(
                    f"the hub {cls.hub_name!r} of the worker class {cls.__name__} is unknown",
                    "gworkers.hubs.HUBS has no row for it",
                    "Add the row in the module of the worker class, or correct hub_name"))
            Settings.resolve(cls.overrides, os.environ)
            if gunicorn_compat.works(Feature.MANAGED_RELOADS) and not SERVER_STATE.reloads_managed:
                NOTIFIER.hold(os.environ)
            for finding in requirements.check(requirements.inspect_runtime(hubs.HUBS[cls.hub_name].library)):
                if finding.fatal:
                    raise RequirementError(finding)
        except StartError as error:
            if not SERVER_STATE.reloading:
                raise
            # The dry run of this reload has passed, so the problem is new. An exception would stop the server.
            sys.stderr.write(f"Error: {error}\n")

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse a configuration that a worker cannot use, and log warnings. Gunicorn calls this once, at start.

        :raises SettingsError: if a setting has an invalid value
        :raises RequirementError: if the application was loaded before the patch, or another library has patched this
            process
        """
        # A second time, because Gunicorn has put raw_env into the environment since setup().
        settings = Settings.resolve(cls.overrides, os.environ)
        configuration.refuse_invalid(cfg, settings, cls.hub_name)
        library = hubs.HUBS[cls.hub_name].library
        for finding in (*requirements.check(requirements.inspect_runtime(library)), *config_file.check(cfg, cls),
                        *deployment.check(cfg, library), *deployment.check_status(settings),
                        *early_greenlets.check(), *_gunicorn_findings()):
            if finding.code not in settings.silence:
                log.warning("%s", finding)
        install_when_ready(cfg)

    @classmethod
    def dry_run(cls, arbiter: Any) -> None:
        """Do what a worker does before it loads the application. The master calls this in a child process.

        :raises StartError: if that fails
        """
        cls(0, os.getppid(), [], arbiter.app, 0, arbiter.app.cfg, arbiter.log).prepare()


def _gunicorn_findings() -> list[Finding]:
    # The start has logged them. The dry run of a reload uses the same Gunicorn.
    return [] if SERVER_STATE.reloads_managed else gunicorn_compat.check()
