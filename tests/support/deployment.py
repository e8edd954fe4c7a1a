"""Code that a test changes under a running server, and that boots for as long as the test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.waiting import until

#: Before what the test has deployed: each boot says so, and waits if it is told to.
HEAD = """
import os, sys, time
from pathlib import Path
from probe import app
from app_support import say

here = Path({directory!r})
me = here / f"boots.{{os.getpid()}}"
me.touch()
while (here / "closed").exists() and not (here / f"go.{{os.getpid()}}").exists():
    time.sleep(0.01)
"""


class Deployment:
    """The module ``deployed`` in a directory of its own, of which each release is another; at first it is probe.py.

    Attributes:
        options: for Gunicorn's command line, so that it is found there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "deployment"
        self._directory.mkdir()
        self.options = ("--pythonpath", str(self._directory), "--env", "PYTHONDONTWRITEBYTECODE=1")
        self.release()

    def release(self, more: str = "") -> None:
        """What is imported from now on; ``more`` is run after the head."""
        module = self._directory / "deployed.py"
        draft = module.with_suffix(".draft")
        draft.write_text(HEAD.format(directory=str(self._directory)) + more)
        draft.replace(module)

    def remove(self) -> None:
        """Let there be nothing to import."""
        (self._directory / "deployed.py").unlink()

    def hold(self) -> None:
        """Let nobody boot until ``let_go``."""
        (self._directory / "closed").touch()

    def let_go(self, pid: int | None = None) -> None:
        """Let all boot, or only the one with this process id."""
        if pid is None:
            (self._directory / "closed").unlink()
        else:
            (self._directory / f"go.{pid}").touch()

    def boots(self) -> set[int]:
        """The processes that have begun to load the module, ever."""
        return {int(file.suffix[1:]) for file in self._directory.glob("boots.*")}

    def booting(self, count: int, but: set[int]) -> set[int]:
        """Wait until so many others than these have begun to; returns them."""
        return until(self._others(count, but), f"{count} workers boot")

    def _others(self, count: int, but: set[int]) -> Callable[[], set[int]]:
        def others() -> set[int]:
            found = self.boots() - but
            return found if len(found) >= count else set()

        return others
