"""What ``gworkers doctor`` has found out, for machines; :mod:`gworkers.tables` shows it to people."""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gworkers.checks.findings import Finding
from gworkers.configured import Resolved


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
