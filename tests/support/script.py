"""A server that a script starts with ``gworkers.serve``. The fixture ``run`` starts one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gworkers.hubs import HUBS
from support.launch import ANNOUNCE, Setup

#: An application that says in which process it runs.
APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
"""
PATCHES = {hub: f"{row.master_patch_code}\n" for hub, row in HUBS.items()}


@dataclass(frozen=True)
class ScriptSetup(Setup):
    """A server that is a script; ``options`` are the arguments of the script."""

    script: str = ""

    def command(self, directory: Path) -> list[str]:
        (directory / "script.py").write_text(self.script)
        return [sys.executable, "script.py", *self.options]


def call(arguments: str, hub: str, bind: str = "'127.0.0.1:0'") -> str:
    """The call of ``serve`` that tests need: on a free port, with the line that says that a worker is ready."""
    return (f"{ANNOUNCE}\nimport gworkers\ngworkers.serve({arguments}, bind={bind}, worker={hub!r}, "
            "post_worker_init=post_worker_init)\n")
