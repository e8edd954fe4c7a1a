"""The versions of the packages that matter to a worker, and its HTTP parser."""
from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from typing import Any

import gworkers
from gworkers import hubs
from gworkers.gunicorn_compat import works
from gworkers.gunicorn_internals import Feature
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
        **{name: installed_version(name) for name in ("greenlet", *hubs.HUBS)},
    }


def parser(cfg: Any) -> str:
    """Return the parser for request heads."""
    if not works(Feature.STRICT_PARSER):
        return "Gunicorn's Python parser, because gworkers cannot make it strict"
    if fast_parser(cfg) is None:
        return "Gunicorn's Python parser, because http_parser is 'python'"
    return "gworkers' fast parser, and Gunicorn's Python parser for unusual heads"
