"""Names in gunicorn.conf.py that look like settings, but that Gunicorn ignores because they are unknown."""
from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from gworkers.checks.importers import CONFIGURATION
from gworkers.files import open_regular_file
from gworkers.findings import Finding
from gworkers.gunicorn_compat import known_settings, works
from gworkers.gunicorn_internals import Feature
from gworkers.settings import GUNICORN_SETTINGS, PREFIX, Settings

KNOWN_SETTINGS = known_settings()
GWORKERS_SETTINGS = frozenset(field.name for field in fields(Settings))
#: Gunicorn's settings that are functions.
HOOKS = frozenset(known.name for known in KNOWN_SETTINGS if callable(known.default))
#: Gunicorn's settings by their long command line options. Separators are removed, because underscores in a configured
#: name may be anywhere.
OPTIONS: dict[str, str] = {
    word.replace("-", "").replace("_", ""): known.name
    for known in KNOWN_SETTINGS for word in known.cli or () if word.startswith("--")}
#: The minimum similarity of an unknown name to a known one, as measured by difflib.
SIMILARITY = 0.8


def check(cfg: Any, worker_class: type) -> list[Finding]:
    """Return findings for ignored names in the file that *cfg* was read from. *worker_class* is the one in use."""
    if not works(Feature.ADVICE):
        return []
    file_name = (cfg.config or "").removeprefix("file:")
    try:
        # open_regular_file() refuses a FIFO, whose content Gunicorn has consumed.
        with open(open_regular_file(file_name), "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        # There is no file, or --chdir has led to a file that Gunicorn has not read.
        return []
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    names = {name: is_function for name, is_function in _assigned_names(tree) if name not in used | GUNICORN_SETTINGS}
    return [_finding(file_name, name, similar, worker_class) for name, is_function in sorted(names.items())
            if (similar := _similar_setting(name, is_function)) is not None]


def _assigned_names(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield the names that the module assigns at its top level, and whether the value is a function.

    Imported names and names that the module uses itself may have another purpose.
    """
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name, True
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id, isinstance(statement.value, ast.Lambda)


def _similar_setting(name: str, is_function: bool) -> str | None:
    option = OPTIONS.get(name.replace("_", ""))
    if option is not None and not is_function:
        return option
    known = GWORKERS_SETTINGS | (HOOKS if is_function else GUNICORN_SETTINGS - HOOKS)
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=SIMILARITY)), None)


def _finding(file_name: str, name: str, similar: str, worker_class: type) -> Finding:
    fix = f"Did you mean {similar}?" if similar not in GWORKERS_SETTINGS else (
        f"Set it with: {_import_statement(worker_class)}"
        f"worker_class = {worker_class.__name__}.configure({similar}=...); "
        f"or with {PREFIX}{similar.upper()} in the environment")
    return Finding("setting-ignored", f"{file_name} sets {name}, which is not a setting of Gunicorn",
                   "it is ignored", fix)


def _import_statement(worker_class: type) -> str:
    module = worker_class.__module__
    if module == CONFIGURATION:
        return ""
    # The package exports the classes of this module.
    return f"from {'gworkers' if module == 'gworkers.worker.green' else module} import {worker_class.__name__}; "
