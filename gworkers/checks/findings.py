"""What a check found: one thing that is wrong, or will be, and what to do."""
from __future__ import annotations

from dataclasses import dataclass

#: All codes; docs/checks.md says of each what its cause is and how it is mended.
CODES = frozenset((
    "application", "configuration", "contexts-shared", "driver-blocks", "eventlet-ends", "greenlet-broken",
    "greenlet-missing", "greenlet-old", "imported-too-early", "keepalive-short", "library-broken", "library-clash",
    "library-missing", "library-old", "not-wsgi", "patched-otherwise", "preload-unpatched", "pypy-old",
    "root", "setting", "setting-ignored", "too-few-files", "trusts-everyone", "worker",
))


@dataclass(frozen=True)
class Finding:
    """One thing found at start.

    ``str(finding)`` is the line that the log, or Gunicorn's last word, shows.
    """

    #: names it in docs/checks.md and in the setting ``silence``
    code: str
    #: what was found
    found: str
    #: why it matters
    matters: str
    #: what to do, preferably a command
    mend: str
    #: whether a worker cannot serve like that; otherwise it is a warning
    fatal: bool = False

    def __post_init__(self) -> None:
        assert self.code in CODES, self.code

    @property
    def kind(self) -> str:
        """What becomes of a worker, as docs/checks.md has it."""
        return "stops a worker" if self.fatal else "warning"

    def __str__(self) -> str:
        return f"{self.found}: {self.matters}. {self.mend} [{self.code}]"


def setting(found: str, matters: str, mend: str) -> Finding:
    """Return the finding that a setting cannot be used."""
    return Finding("setting", found, matters, mend, fatal=True)
