"""A finding: one problem that a check found, its impact and its fix."""
from __future__ import annotations

from dataclasses import dataclass

#: All codes; docs/checks.md gives the cause and the fix of each.
CODES = frozenset((
    "application", "asyncio-conflict", "cancel-unsafe", "configuration", "contexts-shared", "control-socket",
    "database-connections", "driver-blocks", "early-greenlets", "engineio-driver", "eventlet-ends",
    "greenlet-broken", "greenlet-missing", "greenlet-old", "gunicorn-incompatible", "gunicorn-untested",
    "imported-at-startup", "imported-too-early", "invalid-setting", "keepalive-short", "library-broken",
    "library-incompatible", "library-missing", "library-old", "metrics-missing", "not-wsgi", "open-file-limit",
    "patched-by-other-library", "preload-unpatched", "pypy-old", "reload-preloaded", "root", "setting-ignored",
    "trusts-everyone", "worker-setup-failed",
))


@dataclass(frozen=True)
class Finding:
    """One problem found at start. ``str(finding)`` is the line that is logged or printed."""

    #: its name in docs/checks.md and in the setting ``silence``
    code: str
    #: what is wrong
    problem: str
    #: why it matters
    impact: str
    #: what to do, preferably a command
    fix: str
    #: true if a worker cannot serve with it; otherwise it is a warning
    fatal: bool = False

    def __post_init__(self) -> None:
        assert self.code in CODES, self.code

    @property
    def kind(self) -> str:
        """Its effect on a worker, as docs/checks.md names it."""
        return "stops a worker" if self.fatal else "warning"

    def __str__(self) -> str:
        return f"{self.problem}: {self.impact}. {self.fix} [{self.code}]"


def invalid_setting(problem: str, impact: str, fix: str) -> Finding:
    """Return the fatal finding that a setting is unknown or has an invalid value."""
    return Finding("invalid-setting", problem, impact, fix, fatal=True)
