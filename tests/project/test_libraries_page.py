"""docs/libraries.md has what the tests of libraries say, and pip can install these libraries."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from compatibility.results import Result, markdown, rows
from support.paths import ROOT, TESTS

#: pip installs it in .ci/run: its test says why it is in no extra.
IN_NO_EXTRA = {"httpbin"}

PAGE = (ROOT / "docs" / "libraries.md").read_text()


def marks(node: ast.AST) -> list[ast.Call]:
    """The marks ``library`` in a piece of code."""
    return [call for call in ast.walk(node) if isinstance(call, ast.Call)
            and ast.unparse(call.func) == "pytest.mark.library"]


def described(path: Path) -> Iterator[Result]:
    """What the tests of a file are about. The closest mark counts: that of a test, its parameters, or the file."""
    module = ast.parse(path.read_text())
    assigned = {ast.unparse(target): marks(node.value) for node in module.body if isinstance(node, ast.Assign)
                for target in node.targets}
    for function in module.body:
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
            direct = [call for decorator in function.decorator_list for call in marks(decorator)]
            of_parameters = [call for decorator in function.decorator_list for node in ast.walk(decorator)
                             if isinstance(node, ast.Name) for call in assigned.get(node.id, [])]
            for call in direct or of_parameters or assigned.get("pytestmark", []):
                yield result(path, function, call)


def result(path: Path, function: ast.FunctionDef, mark: ast.Call) -> Result:
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in mark.keywords}
    return Result(
        file=str(path.relative_to(ROOT)), line=function.lineno, area=given.get("area", ""),
        libraries={ast.literal_eval(name): "" for name in mark.args},
        claim=(ast.get_docstring(function) or "").partition("\n")[0], note=given.get("note", ""),
        works=given.get("works", True), hub="")


def entries(page: str) -> list[tuple[str, ...]]:
    """The rows of the tables without versions and results: the area, the libraries, what was tested, and notes."""
    found: list[tuple[str, ...]] = []
    area = ""
    for line in page.splitlines():
        area = line[3:] if line.startswith("## ") else area
        match = re.fullmatch(r"\| (?!Library |---)(.+?) \| .+? \| .+? \| (.*?) \| (.*?) \|", line)
        if match is not None:
            found.append((area, " ".join(each.split()[0] for each in match[1].split(", ")), match[2], match[3]))
    return found


def test_page_has_what_the_tests_say() -> None:
    """The remedy is: python -m tests.compatibility --write"""
    tests = [result for path in sorted((TESTS / "compatibility").glob("test_*.py")) for result in described(path)]
    assert len(tests) > 50
    assert entries(PAGE) == entries(markdown(rows(tests)))


def test_each_row_has_an_area_and_a_claim() -> None:
    assert [row for row in entries(PAGE) if not (row[0] and row[2])] == []


def test_extras_install_each_library() -> None:
    extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    installed = {name.lower() for name in re.findall(r'^ +"([\w.-]+)', extras, re.MULTILINE)}
    assert {name.lower() for row in entries(PAGE) for name in row[1].split()} - installed == IN_NO_EXTRA
