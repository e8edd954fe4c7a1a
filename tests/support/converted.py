"""What ``gworkers convert`` has printed."""

from __future__ import annotations

import os
import re
from typing import Any


class Converted:
    """What a configuration becomes: the text, its settings, and the notes on stderr."""

    def __init__(self, text: str, notes: str) -> None:
        self.text = text
        self.notes = notes

    def settings(self, **environ: str) -> dict[str, Any]:
        """The names that the text defines, in an environment with the variables *environ*."""
        before = dict(os.environ)
        os.environ.update(environ)
        names: dict[str, Any] = {}
        try:
            exec(compile(self.text, "gunicorn.conf.py", "exec"), names)
        finally:
            os.environ.clear()
            os.environ.update(before)
        own = names.get("worker_class")
        if not isinstance(own, str) and own is not None:
            names["own"] = own.overrides
        return {name: value for name, value in names.items() if not name.startswith("__")}

    @property
    def assigned(self) -> list[str]:
        """The names that stand on the left, without those of imports and helpers."""
        return [name for name in re.findall(r"^ *(\w+) = ", self.text, re.MULTILINE) if name != "worker_settings"]

    @property
    def noted(self) -> list[str]:
        """The options that stderr names, in order."""
        return re.findall(r"^\S+:\d+: (\S+)", self.notes, re.MULTILINE)
