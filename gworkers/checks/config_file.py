"""Names in gunicorn.conf.py that look like settings and are none: Gunicorn ignores what it does not know."""
from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from gunicorn.config import KNOWN_SETTINGS

from gworkers.checks.importers import CONFIGURATION
from gworkers.files import open_regular_file
from gworkers.findings import Finding
from gworkers.settings import GUNICORNS, PREFIX, Settings

OWN = frozenset(field.name for field in fields(Settings))
#: Gunicorn's settings that are functions.
HOOKS = frozenset(known.name for known in KNOWN_SETTINGS if callable(known.default))
#: Its settings by what the command line calls them, in one word, for there are as many ways to put in underscores.
OPTIONS: dict[str, str] = {
    word.replace("-", "").replace("_", ""): known.name
    for known in KNOWN_SETTINGS for word in known.cli or () if word.startswith("--")}
#: How alike a name must be to one that is known, as difflib measures it.
ALIKE = 0.8


def check(cfg: Any, worker_class: type) -> list[Finding]:
    """Return what the file that *cfg* was read from sets in vain; *worker_class* is the one in use."""
    location = (cfg.config or "").removeprefix("file:")
    try:
        # Not a FIFO, which Gunicorn has read already.
        with open(open_regular_file(location), "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        # There is none. Or with --chdir this is another one: Gunicorn has read its own.
        return []
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    names = {name: is_function for name, is_function in _names(tree) if name not in used | GUNICORNS}
    return [_finding(location, name, meant, worker_class) for name, is_function in sorted(names.items())
            if (meant := _meant(name, is_function)) is not None]


def _names(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield what the module sets itself, and whether to a function.

    What it imports, or does not look at again, may have another purpose.
    """
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name, True
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, isinstance(statement.value, ast.Lambda)


def _meant(name: str, is_function: bool) -> str | None:
    option = OPTIONS.get(name.replace("_", ""))
    if option is not None and not is_function:
        return option
    known = OWN | (HOOKS if is_function else GUNICORNS - HOOKS)
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=ALIKE)), None)


def _finding(location: str, name: str, meant: str, worker_class: type) -> Finding:
    fix = f"Did you mean {meant}?" if meant not in OWN else (
        f"{_imported(worker_class)}worker_class = {worker_class.__name__}.configure({meant}=...), "
        f"or {PREFIX}{meant.upper()} in the environment")
    return Finding("setting-ignored", f"{location} sets {name}, which is no setting of Gunicorn's",
                   "nothing comes of it", fix)


def _imported(worker_class: type) -> str:
    module = worker_class.__module__
    if module == CONFIGURATION:
        return ""
    # Its public name is the package's.
    return f"from {'gworkers' if module == 'gworkers.worker.green' else module} import {worker_class.__name__}; "
