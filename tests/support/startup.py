"""Worker classes in the words of a configuration, and what a server logs at start."""

from __future__ import annotations

import re

from support.launch import WORKERS
from support.server import Server

#: By hub: code that patches for the other hub.
OTHER_PATCH = {"gevent": "import eventlet\neventlet.monkey_patch()\n",
               "eventlet": "from gevent.monkey import patch_all\npatch_all()\n"}


def class_name(hub: str) -> str:
    return WORKERS[hub].rpartition(".")[2]


def configured(hub: str, arguments: str) -> str:
    return f"from gworkers import {class_name(hub)}\nworker_class = {class_name(hub)}.configure({arguments})\n"


def refusal(server: Server) -> str:
    """The one line that a server which does not start says of it."""
    assert server.wait_for_exit() != 0
    said = [line for line in server.lines if line.strip()]
    assert not [line for line in said if "Traceback" in line], said
    errors = [line for line in said if line.startswith("Error: ")]
    assert len(errors) == 1, said
    # Gunicorn 27 refuses h2 itself where there is no package for it.
    assert re.search(r" \[[a-z-]+\]$|the h2 package is not installed", errors[0]), said
    assert not [line for line in said if "Booting worker" in line], said
    return errors[0]


def findings(server: Server) -> list[str]:
    """The codes of what has been logged, in order; who runs the tests as root is not the point."""
    said = [match[1] for line in server.log(r"\[WARNING\] .* \[[a-z-]+\]$", since=0)
            if (match := re.search(r"\[([a-z-]+)\]$", line))]
    return [code for code in said if code not in ("root", "eventlet-ends", "library-incompatible")]
