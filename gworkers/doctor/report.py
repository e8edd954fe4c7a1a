"""The report of ``gworkers doctor``: its data, as JSON and as the rows of its tables.

:mod:`gworkers.doctor.tables` and :mod:`gworkers.doctor.plain_text` print it.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gworkers.doctor.gunicorn_application import SettingValue
from gworkers.findings import Finding

#: Settings that are read and written as octal numbers.
FILE_MODES = ("umask", "control_socket_mode")
#: The columns of a line.
Row = tuple[str, ...]


@dataclass
class Report:
    """The facts and findings of one start of a worker, up to the first request."""

    #: the version of each package; None if it is not installed
    versions: Mapping[str, str | None]
    application: str | None = None
    worker_class: str | None = None
    #: these four are None if the worker could not be set up
    hub: str | None = None
    backend: str | None = None
    resolver: str | None = None
    parser: str | None = None
    #: all settings of gworkers
    settings: Mapping[str, SettingValue] = field(default_factory=dict)
    #: the settings of Gunicorn that are not at their default
    gunicorn: Mapping[str, SettingValue] = field(default_factory=dict)
    #: what the hub's library has patched, as the library names it; None if the worker could not be set up
    patched: list[str] | None = None
    findings: list[Finding] = field(default_factory=list)
    #: codes of warnings that are not shown
    silence: tuple[str, ...] = ()

    @property
    def stops_worker(self) -> bool:
        """Whether a finding stops a worker."""
        return any(finding.fatal for finding in self.findings)

    def is_silenced(self, finding: Finding) -> bool:
        """Return whether *finding* is a warning that the setting ``silence`` names."""
        return not finding.fatal and finding.code in self.silence

    def without_defaults(self) -> Report:
        """Return a copy without the settings of gworkers that are at their default."""
        changed = {name: resolved for name, resolved in self.settings.items() if resolved.origin != "default"}
        return replace(self, settings=changed)

    @property
    def shown_findings(self) -> list[Finding]:
        """The findings that are not silenced."""
        return [finding for finding in self.findings if not self.is_silenced(finding)]

    @property
    def verdict(self) -> str:
        """One line that tells whether a worker can serve."""
        fatal = sum(finding.fatal for finding in self.shown_findings)
        warnings = _count(len(self.shown_findings) - fatal, "warning")
        codes = sorted({finding.code for finding in self.findings if self.is_silenced(finding)})
        silenced = f" Silenced: {', '.join(codes)}." if codes else ""
        if fatal:
            return f"A worker cannot serve: {_count(fatal, 'error')}, {warnings}.{silenced}"
        return f"A worker can serve: {warnings if self.shown_findings else 'no findings'}.{silenced}"

    def sections(self) -> list[tuple[str, list[Row]]]:
        """Return the rows of everything except the findings, by title."""
        worker = {
            "application": self.application, "worker class": self.worker_class, "hub": self.hub,
            "loop backend": self.backend, "resolver": self.resolver, "HTTP parser": self.parser,
            "patched": None if self.patched is None else format_value(self.patched)}
        only_changed = " that are not at their default"
        scope = "" if any(origin == "default" for _, origin in self.settings.values()) else only_changed
        sections: list[tuple[str, list[Row]]] = [
            ("Worker", _fact_rows(worker)),
            ("Versions", _fact_rows(self.versions)),
            (f"Settings of gworkers{scope}", _setting_rows(self.settings)),
            (f"Settings of Gunicorn{only_changed}", _setting_rows(self.gunicorn)),
        ]
        return [(title, rows) for title, rows in sections if rows]

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps({
            "ok": not self.stops_worker,
            "application": self.application,
            "worker_class": self.worker_class,
            "versions": dict(self.versions),
            "hub": self.hub,
            "backend": self.backend,
            "resolver": self.resolver,
            "parser": self.parser,
            "settings": _setting_objects(self.settings),
            "gunicorn": _setting_objects(self.gunicorn),
            "patched": self.patched,
            "findings": [{**asdict(finding), "silenced": self.is_silenced(finding)} for finding in self.findings],
        }, indent=2)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _fact_rows(facts: Mapping[str, str | None]) -> list[Row]:
    return [(name, "-" if value is None else value) for name, value in facts.items()]


def _setting_rows(settings: Mapping[str, SettingValue]) -> list[Row]:
    return [(name, format_value(f"0o{value:03o}" if name in FILE_MODES else value), origin)
            for name, (value, origin) in settings.items()]


def _setting_objects(settings: Mapping[str, SettingValue]) -> dict[str, Any]:
    return {name: {"value": plain(value), "origin": origin} for name, (value, origin) in settings.items()}


def plain(value: Any) -> Any:
    """Return *value* with types of JSON only: functions and classes by name, other objects by ``repr()``."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def format_value(value: Any) -> str:
    """Return *value* as one line of text."""
    value = plain(value)
    if isinstance(value, list):
        return ", ".join(map(format_value, value)) or "none"
    if isinstance(value, str) and value and value.isprintable():
        return value
    return repr(value)
