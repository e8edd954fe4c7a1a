"""Runs of ``gworkers doctor``, as processes of their own; tests have them from the fixtures ``run`` and ``ask``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from gworkers.findings import CODES
from support.launch import Setup, hubs

#: For what does not depend on the hub.
HUB = hubs()[0]
KEYS = {"ok", "application", "worker_class", "versions", "hub", "backend", "resolver", "parser", "settings", "gunicorn",
        "patched", "findings"}
HELLO = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""

Run = Callable[..., "DoctorRun"]


class DoctorRun:
    """One run of ``gworkers doctor``: its exit status, and what it wrote."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        assert "Traceback" not in done.stderr, done.stderr

    @property
    def report(self) -> dict[str, Any]:
        report = json.loads(self.out)
        assert set(report) == KEYS
        assert self.status == (0 if report["ok"] else 1), self.out + self.err
        assert report["ok"] == (not any(finding["fatal"] for finding in report["findings"]))
        return report

    @property
    def findings(self) -> list[dict[str, Any]]:
        findings = self.report["findings"]
        for finding in findings:
            assert finding["code"] in CODES
            for key in ("problem", "impact", "fix"):
                assert finding[key].isprintable()
                assert finding[key]
        return findings

    def finding(self, code: str) -> dict[str, Any]:
        """The only one of that code."""
        found = [finding for finding in self.findings if finding["code"] == code]
        assert len(found) == 1, self.out + self.err
        return found[0]

    def refusal(self) -> str:
        """The last line on stderr of a run that came to nothing."""
        assert self.status == 2, self.out + self.err
        assert self.out == ""
        return self.err.rstrip().rpartition("\n")[2]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    given = Setup(app="").environment()
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "FORWARDED_ALLOW_IPS", "SENDFILE"):
        given.pop(name, None)
    return {**given, **(more or {})}
