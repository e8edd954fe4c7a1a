"""Gunicorn's application object for a command line: its configuration and the origin of each setting."""
from __future__ import annotations

import os
import reprlib
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any, NamedTuple

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.config import Config, make_settings
from gunicorn.errors import ConfigError

from gworkers.errors import GworkersError

#: Environment variables that provide the default of a setting in Gunicorn.
DEFAULT_VARIABLES = {"bind": "PORT", "forwarded_allow_ips": "FORWARDED_ALLOW_IPS", "sendfile": "SENDFILE",
             "workers": "WEB_CONCURRENCY"}
#: Settings with a list of NAME=value. The values may be secrets, and a report may be shown to other people.
SECRET_VALUES = ("raw_env", "raw_paste_global_conf")
#: Settings that are internal to Gunicorn.
INTERNAL = ("default_proc_name",)


class UsageError(GworkersError):
    """The command line names no application, or a worker class that doctor cannot examine."""


class SettingValue(NamedTuple):
    """The value of a setting, and its origin: ``default``, ``command line`` and so on."""

    value: Any
    origin: str


class GunicornApplication(WSGIApplication):  # type: ignore[misc]
    """Gunicorn's application object for ``sys.argv``. It raises the errors that Gunicorn prints before it exits.

    :raises UsageError: if no application is named
    :raises SystemExit: by argparse, for ``--help`` and for unknown options
    :raises Exception: any exception of the configuration file
    """

    cfg: Any
    _file = ""
    _in_file: Mapping[str, object] = {}

    def do_load_config(self) -> None:
        self.cfg = _Config(self.usage, prog=self.prog)
        try:
            self.load_config()
        except ConfigError as error:
            if self.app_uri is None and self.cfg.wsgi_app is None:
                raise UsageError(str(error)) from None
            raise
        # New in Gunicorn 27. Skipped for HTTP/2, which gworkers refuses: Gunicorn would suggest to install h2.
        if hasattr(self.cfg, "validate") and "h2" not in self.cfg.http_protocols:
            self.cfg.validate()
        for path in filter(None, (self.cfg.pythonpath or "").split(",")):
            if os.path.abspath(path) not in sys.path:
                sys.path.insert(0, os.path.abspath(path))

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> None:
        # The command line is valid, so user code runs next. Its output must not be mixed with the report.
        sys.stdout.flush()
        os.dup2(2, 1)
        super().init(parser, opts, args)

    def load_config_from_module_name_or_filename(self, location: str) -> Mapping[str, object]:
        self._file = location
        self._in_file = super().load_config_from_module_name_or_filename(location)
        return self._in_file

    def get_config_from_filename(self, filename: str) -> Mapping[str, object]:
        if not os.path.exists(filename):
            raise ConfigError(f"the configuration file {filename!r} does not exist")
        name = "__config__"
        spec = (spec_from_file_location(name, filename)
                or spec_from_file_location(name, filename, loader=SourceFileLoader(name, filename)))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except SystemExit as error:
            raise ConfigError(f"{filename} ended the process with status {error.code!r}") from error
        return vars(module)

    def changed_settings(self) -> dict[str, SettingValue]:
        """Return Gunicorn's settings that differ from their default or are set by a variable."""
        changed = {}
        for name, setting in sorted(make_settings().items()):
            # The property considers the variable SENDFILE, unlike the setting, whose default None means True.
            value, default = (self.cfg.sendfile, True) if name == "sendfile" else (
                self.cfg.settings[name].get(), setting.get())
            if name not in INTERNAL and (value != default or self._default_variable(name)):
                if name in SECRET_VALUES:
                    value = [f"{item.partition('=')[0]}=..." for item in value]
                changed[name] = SettingValue(value, self._origin(name))
        return changed

    def _origin(self, name: str) -> str:
        command_line, variable = self._parsed_arguments
        if command_line.get(name) is not None:
            return "command line"
        if variable.get(name) is not None:
            return "GUNICORN_CMD_ARGS"
        if name in self._in_file:
            return f"configuration file {self._file}"
        return f"environment variable {self._default_variable(name)}" if self._default_variable(name) else "default"

    def _default_variable(self, name: str) -> str:
        variable = DEFAULT_VARIABLES.get(name, "")
        return variable if variable in self.cfg.env_orig else ""

    @cached_property
    def _parsed_arguments(self) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """The values in the command line and in GUNICORN_CMD_ARGS, by setting; None where it is not set."""
        parser = self.cfg.parser()
        return vars(parser.parse_args()), vars(parser.parse_args(self.cfg.get_cmd_args_from_env()))


class _Config(Config):  # type: ignore[misc]
    """Gunicorn's configuration. Its errors name the setting."""

    def set(self, name: str, value: object) -> None:
        try:
            super().set(name, value)
        except Exception as error:
            raise ConfigError(f"{name} cannot be {reprlib.repr(value)}: {error}") from error
