"""The versions of the packages that matter to a worker, and its HTTP parser."""
from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from typing import Any

import gworkers
from gworkers import hubs
from gworkers.errors import SettingsError
from gworkers.http1.fast import fast_parser
from gworkers.versions import format_version, installed_version


def versions() -> dict[str, str | None]:
    """Return the installed versions. This imports none of the packages."""
    pypy = getattr(sys, "pypy_version_info", None)
    pypy_version = f" ({format_version(pypy[:3])})" if pypy else ""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}{pypy_version}",
        "gworkers": gworkers.__version__,
        "gunicorn": version("gunicorn"),
        **{name: installed_version(name) for name in ("greenlet", *hubs.HUBS, "gunicorn_h1c")},
    }


def parser(cfg: Any) -> str | None:
    """Return the parser for request heads; None if *cfg* requires one that is not installed."""
    try:
        fast = fast_parser(cfg)
    except SettingsError:
        return None
    if fast is not None:
        return f"gunicorn_h1c {installed_version('gunicorn_h1c') or ''}".rstrip()
    why = "http_parser is 'python'" if getattr(cfg, "http_parser", "auto") == "python" else "no gunicorn_h1c"
    return f"Gunicorn's in Python ({why})"
