"""What Gunicorn makes of a command line: its configuration, and where each setting in it comes from."""
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

#: Variables that Gunicorn takes the default of a setting from.
VARIABLES = {"bind": "PORT", "forwarded_allow_ips": "FORWARDED_ALLOW_IPS", "sendfile": "SENDFILE",
             "workers": "WEB_CONCURRENCY"}
#: Lists of NAME=value; the values are often secrets, and a report is made to be shown to others.
SECRETIVE = ("raw_env", "raw_paste_global_conf")
#: Settings that nobody sets.
INTERNAL = ("default_proc_name",)


class UsageError(GworkersError):
    """The command line names nothing that could be looked at."""


class Resolved(NamedTuple):
    """A setting's value, and where it comes from."""

    value: Any
    origin: str


class Configured(WSGIApplication):  # type: ignore[misc]
    """Gunicorn's own application object for ``sys.argv``, which raises what Gunicorn would print and leave with.

    :raises UsageError: if no application is named
    :raises SystemExit: as argparse does, for ``--help`` and for options that do not exist
    :raises Exception: whatever the configuration file raises
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
        # Gunicorn has it since release 27. Of HTTP/2, which is refused here, it says what to install.
        if hasattr(self.cfg, "validate") and "h2" not in self.cfg.http_protocols:
            self.cfg.validate()
        for path in filter(None, (self.cfg.pythonpath or "").split(",")):
            if os.path.abspath(path) not in sys.path:
                sys.path.insert(0, os.path.abspath(path))

    def init(self, parser: Any, opts: Any, args: Sequence[str]) -> None:
        # The command line was one. From here on other people's code runs, and what that prints is no report.
        sys.stdout.flush()
        os.dup2(2, 1)
        super().init(parser, opts, args)

    def load_config_from_module_name_or_filename(self, location: str) -> Mapping[str, object]:
        self._file = location
        self._in_file = super().load_config_from_module_name_or_filename(location)
        return self._in_file

    def get_config_from_filename(self, filename: str) -> Mapping[str, object]:
        if not os.path.exists(filename):
            raise ConfigError(f"there is no configuration file {filename!r}")
        name = "__config__"
        spec = (spec_from_file_location(name, filename)
                or spec_from_file_location(name, filename, loader=SourceFileLoader(name, filename)))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except SystemExit as error:
            raise ConfigError(f"{filename} ends the process, with status {error.code!r}") from error
        return vars(module)

    def settings(self) -> dict[str, Resolved]:
        """Return those of Gunicorn's settings that somebody has changed."""
        changed = {}
        for name, setting in sorted(make_settings().items()):
            # Gunicorn's own reading of this one takes SENDFILE into account; its default is None, and means True.
            value, default = (self.cfg.sendfile, True) if name == "sendfile" else (
                self.cfg.settings[name].get(), setting.get())
            if name not in INTERNAL and (value != default or self._variable(name)):
                if name in SECRETIVE:
                    value = [f"{item.partition('=')[0]}=..." for item in value]
                changed[name] = Resolved(value, self._origin(name))
        return changed

    def _origin(self, name: str) -> str:
        words, variable = self._words
        if words.get(name) is not None:
            return "command line"
        if variable.get(name) is not None:
            return "GUNICORN_CMD_ARGS"
        if name in self._in_file:
            return f"configuration file {self._file}"
        return f"environment variable {self._variable(name)}" if self._variable(name) else "default"

    def _variable(self, name: str) -> str:
        variable = VARIABLES.get(name, "")
        return variable if variable in self.cfg.env_orig else ""

    @cached_property
    def _words(self) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """What the command line, and GUNICORN_CMD_ARGS, say of each setting; None if nothing."""
        parser = self.cfg.parser()
        return vars(parser.parse_args()), vars(parser.parse_args(self.cfg.get_cmd_args_from_env()))


class _Config(Config):  # type: ignore[misc]
    """Gunicorn's configuration, whose errors name the setting."""

    def set(self, name: str, value: object) -> None:
        try:
            super().set(name, value)
        except Exception as error:
            raise ConfigError(f"{name} cannot be {reprlib.repr(value)}: {error}") from error
