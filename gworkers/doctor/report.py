"""What ``gworkers doctor`` has found out: as JSON for machines, and what there is to show to people.

:mod:`gworkers.doctor.tables` and :mod:`gworkers.doctor.plain_text` show it.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gworkers.doctor.configured import Resolved
from gworkers.findings import Finding

#: What stands beside each other on a line.
Row = tuple[str, ...]


@dataclass
class Report:
    """One start of a worker, up to the first request."""

    #: None where something is not installed
    versions: Mapping[str, str | None]
    application: str | None = None
    worker_class: str | None = None
    #: what the worker runs on; None for what could not be found out
    hub: str | None = None
    backend: str | None = None
    resolver: str | None = None
    parser: str | None = None
    #: gworkers' own settings, all of them
    settings: Mapping[str, Resolved] = field(default_factory=dict)
    #: those of Gunicorn's that differ from their default
    gunicorn: Mapping[str, Resolved] = field(default_factory=dict)
    #: what the hub's library has patched, in its own words; None if it did not come to that
    patched: list[str] | None = None
    findings: list[Finding] = field(default_factory=list)
    #: codes that are not to be reported
    silence: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether a worker cannot serve like that."""
        return any(finding.fatal for finding in self.findings)

    def silenced(self, finding: Finding) -> bool:
        """Whether *finding* is one that nobody wants to hear of."""
        return not finding.fatal and finding.code in self.silence

    def without_defaults(self) -> Report:
        """Return the report without the settings that are at their default."""
        changed = {name: resolved for name, resolved in self.settings.items() if resolved.origin != "default"}
        return replace(self, settings=changed)

    @property
    def reported(self) -> list[Finding]:
        """The findings that are not silenced."""
        return [finding for finding in self.findings if not self.silenced(finding)]

    @property
    def verdict(self) -> str:
        """Whether a worker would serve, on one line."""
        fatal = sum(finding.fatal for finding in self.reported)
        warnings = _count(len(self.reported) - fatal, "warning")
        codes = sorted({finding.code for finding in self.findings if self.silenced(finding)})
        silenced = f" Silenced: {', '.join(codes)}." if codes else ""
        if fatal:
            return f"A worker could not serve: {_count(fatal, 'reason')}, {warnings}.{silenced}"
        return f"A worker would serve: {warnings if self.reported else 'nothing is wrong'}.{silenced}"

    def sections(self) -> list[tuple[str, list[Row]]]:
        """Return all but the findings, under its titles."""
        worker = {
            "application": self.application, "worker class": self.worker_class, "hub": self.hub,
            "loop backend": self.backend, "resolver": self.resolver, "HTTP parser": self.parser,
            "patched": None if self.patched is None else spelled(self.patched)}
        some = " that are not at their default"
        own = "" if any(origin == "default" for _, origin in self.settings.values()) else some
        sections: list[tuple[str, list[Row]]] = [
            ("Worker", _facts(worker)),
            ("Versions", _facts(self.versions)),
            (f"Settings of gworkers{own}", _origins(self.settings)),
            (f"Settings of Gunicorn{some}", _origins(self.gunicorn)),
        ]
        return [(title, rows) for title, rows in sections if rows]

    def json(self) -> str:
        """All of it, as one JSON object."""
        return json.dumps({
            "ok": not self.stops,
            "application": self.application,
            "worker_class": self.worker_class,
            "versions": dict(self.versions),
            "hub": self.hub,
            "backend": self.backend,
            "resolver": self.resolver,
            "parser": self.parser,
            "settings": _resolved(self.settings),
            "gunicorn": _resolved(self.gunicorn),
            "patched": self.patched,
            "findings": [{**asdict(finding), "silenced": self.silenced(finding)} for finding in self.findings],
        }, indent=2)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _facts(facts: Mapping[str, str | None]) -> list[Row]:
    return [(name, "-" if value is None else value) for name, value in facts.items()]


def _origins(settings: Mapping[str, Resolved]) -> list[Row]:
    return [(name, spelled(value), origin) for name, (value, origin) in settings.items()]


def _resolved(settings: Mapping[str, Resolved]) -> dict[str, Any]:
    return {name: {"value": plain(value), "origin": origin} for name, (value, origin) in settings.items()}


def plain(value: Any) -> Any:
    """Return *value* in terms of JSON; what has no such terms by its name, or as it shows itself."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)


def spelled(value: Any) -> str:
    """Return *value* on one line, for a person."""
    value = plain(value)
    if isinstance(value, list):
        return ", ".join(map(spelled, value)) or "none"
    if isinstance(value, str) and value and value.isprintable():
        return value
    return repr(value)
