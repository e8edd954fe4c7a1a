"""The metadata of the installed package, and the pages about its installation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

import pytest

import gworkers
from gworkers.status import page_files
from support.paths import ROOT

pytestmark = pytest.mark.smoke

PACKAGE = Path(gworkers.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE if PACKAGE in path.parents else ROOT))


def requirements() -> dict[str, set[str]]:
    """The minimum releases of the dependencies, by name. A name may have several."""
    found: dict[str, set[str]] = {}
    for requirement in metadata("gworkers").get_all("Requires-Dist"):
        name, bounds = re.match(r"([\w-]+)(?:\[\w+\])?(\S*?)(?:;|\s|$)", requirement).groups()
        floor = ",".join(bound for bound in bounds.split(",") if not bound.startswith("<"))
        found.setdefault(name.replace("-", "_").lower(), set()).add(floor)
    return found


def imported(module: Path) -> set[str]:
    """The top-level packages that a module imports, at any place in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports are absolute"
            names.add(node.module.partition(".")[0])
    return names


def test_metadata():
    about = metadata("gworkers")
    assert about["Version"] == gworkers.__version__
    assert about["Requires-Python"] == ">=3.9"
    assert about["License-Expression"] == "MIT"
    assert set(about.get_all("Provides-Extra")) >= {"gevent", "eventlet", "doctor", "test"}
    assert about["Description-Content-Type"] == "text/markdown"


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_one_module_imports_each_hub_library(library):
    assert [relative(module) for module in MODULES if library in imported(module)] == [f"hubs/{library}.py"]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names is new in Python 3.10")
def test_imported_packages_are_dependencies():
    third_party = set().union(*map(imported, MODULES)) - sys.stdlib_module_names - {"gworkers"}
    assert third_party <= requirements().keys()


def test_package_contains_the_status_page():
    assert {"/", "/page.css", "/page.js"} < page_files.FILES.keys()
    imported = re.findall(r' from "\./([^"]+)"', "".join(file.body.decode() for file in page_files.FILES.values()))
    assert {f"/{name}" for name in imported} < page_files.FILES.keys()


def test_importing_gworkers_imports_no_hub_library():
    code = "import sys, gworkers, gworkers.settings; print(sorted({'gevent', 'eventlet'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("name", ["gunicorn", "greenlet", "gevent", "eventlet", "rich", "prometheus_client"])
def test_dependencies_are_documented_with_their_minimum_releases(name):
    row = re.search(rf"^\| `{name}.*$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)[0]
    for floor in requirements()[name]:
        assert floor.startswith(">=")
        assert floor[2:] in row


def test_minimum_releases_are_tested():
    pins = re.findall(r"oldest\S*: (\w+)==(\S+)", (ROOT / "tox.ini").read_text())
    assert {name for name, _ in pins} == {"gunicorn", "gevent", "eventlet"}
    for name, version in pins:
        assert requirements()[name] == {f">={version}"}


def test_readme_has_one_line_to_install_and_one_to_test():
    lines = (ROOT / "README.md").read_text().splitlines()
    install, test = (line for line in lines if line.startswith("python3 -m venv .venv && "))
    assert install.endswith(".venv/bin/gunicorn --chdir examples/hello -k gworkers.GeventWorker 'hello:create_app()'")
    assert test.endswith("&& .venv/bin/pytest")
