"""Names in gunicorn.conf.py that look like settings and are none: Gunicorn ignores what it does not know."""
from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from gworkers.checks.findings import Finding
from gworkers.settings import GUNICORNS, PREFIX, Settings

OWN = frozenset(field.name for field in fields(Settings))
#: How alike a name must be to one that is known, as difflib measures it.
ALIKE = 0.8


def check(cfg: Any) -> list[Finding]:
    """Return what the file that *cfg* was read from sets in vain."""
    location = (cfg.config or "").removeprefix("file:")
    try:
        tree = ast.parse(Path(location).read_bytes())
    except (OSError, SyntaxError, ValueError):
        # There is none. Or with --chdir this is another one: Gunicorn has read its own.
        return []
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return [_finding(location, name, meant) for name in sorted({*_names(tree)} - used - GUNICORNS)
            if (meant := _meant(name)) is not None]


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield what the module sets itself; what it imports, or does not look at again, may have another purpose."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _meant(name: str) -> str | None:
    if name in OWN:
        return name
    return next(iter(difflib.get_close_matches(name, OWN | GUNICORNS, n=1, cutoff=ALIKE)), None)


def _finding(location: str, name: str, meant: str) -> Finding:
    own = f"worker_class = gworkers.GeventWorker.configure({meant}=...), or {PREFIX}{meant.upper()} in the environment"
    return Finding("setting-ignored", f"{location} sets {name}, which is no setting of Gunicorn's",
                   "nothing comes of it", own if meant in OWN else f"Did you mean {meant}?")
