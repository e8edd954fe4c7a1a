"""Imports inside the package point one way, and docs/design.md lists every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

PACKAGE = ROOT / "gworkers"

#: A module may import from its own folder and from folders with a lower number. Modules at the top are "".
LAYERS = {"": 0, "hubs": 1, "status": 1, "logs": 2, "http1": 3, "coroutines": 3, "checks": 4, "serving": 4,
          "watch": 5, "inspection": 6, "background": 7, "master": 8, "worker": 8, "doctor": 9, "convert": 10}

#: Entry points stand at the top, and import what they start.
ENTRY_POINTS = {"__init__", "__main__", "cli", "hooks", "script"}

#: Gunicorn tells only the worker class that it starts, so the class has to reach the arbiter.
EXCEPTIONS = {("worker.configurable", "master.install")}


def modules() -> dict[str, Path]:
    """Every module by its name below the package, ``__init__`` files without a docstring's worth of code left out."""
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that *path* imports at run time, wherever in the file."""
    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            yield child
            yield from walk(child)

    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("gworkers."):
                parts = name.split(".")[1:]
                # From the longest name down, because the last part may be a function.
                for end in range(len(parts), 0, -1):
                    base = PACKAGE.joinpath(*parts[:end])
                    if base.with_suffix(".py").exists():
                        yield ".".join(parts[:end])
                        break
                    if (base / "__init__.py").exists():
                        yield ".".join([*parts[:end], "__init__"])
                        break


def folder(module: str) -> str:
    return module.rpartition(".")[0]


@pytest.mark.parametrize("module", [name for name in modules() if name not in ENTRY_POINTS])
def test_imports_point_downwards(module: str) -> None:
    upward = [name for name in imported(modules()[module])
              if folder(name) != folder(module) and LAYERS[folder(name)] >= LAYERS[folder(module)]
              and (module, name) not in EXCEPTIONS]
    assert not upward


@pytest.mark.parametrize(("module", "name"), sorted(EXCEPTIONS))
def test_exceptions_are_needed(module: str, name: str) -> None:
    assert name in imported(modules()[module])


@pytest.mark.parametrize(("user", "provider"), [("http1", "serving"), ("serving", "worker")])
def test_protocols_replace_imports_for_types(user: str, provider: str) -> None:
    for module, path in modules().items():
        if folder(module) == user:
            assert not re.search(rf"^\s*from gworkers\.{provider}\b", path.read_text(), re.MULTILINE), module


def test_every_folder_has_a_layer() -> None:
    assert {folder(module) for module in modules()} == set(LAYERS)


def test_hub_libraries_are_imported_in_hubs_only() -> None:
    for module, path in modules().items():
        if folder(module) != "hubs":
            assert not re.search(r"^\s*(import|from) (gevent|eventlet)", path.read_text(), re.MULTILINE), module


def test_design_lists_every_module() -> None:
    section = (ROOT / "docs" / "design.md").read_text().partition("### Modules\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `([\w/]+\.py)` \| \S.*\|$", section, re.MULTILINE)
    assert listed == [f"{name.replace('.', '/')}.py" for name in modules() if not name.endswith(".__init__")]


def test_tests_import_no_other_test() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
                [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if re.search(r"(^|\.)test_", name)], path


def test_each_test_is_in_a_folder() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders == {"compatibility", "functional", "project", "unit"}
