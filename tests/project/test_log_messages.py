"""docs/log-messages.md lists every line that gworkers logs at level info and above."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import gunicorn
import pytest

import gworkers

pytestmark = pytest.mark.smoke

PACKAGE = Path(gworkers.__file__).parent
PAGE, GUNICORNS = (Path(__file__).parents[2] / "docs/log-messages.md").read_text().split("\n## Gunicorn's own lines\n")
LEVELS = {"info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR", "critical": "CRITICAL"}
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
#: What stands for any text.
ANY = "<>"


def constants() -> dict[str, str]:
    """The module-level names of strings, in all modules."""
    return {target.id: node.value.value
            for tree in TREES.values() for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)}


CONSTANTS = constants()


def texts(node: ast.expr) -> list[str]:
    """The texts that an expression may be; none if it is not made of literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Name) and node.id in CONSTANTS:
        return [CONSTANTS[node.id]]
    if isinstance(node, ast.IfExp):
        return [*texts(node.body), *texts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "%s" for part in node.values)]
    return []


def filled(text: str, arguments: list[ast.expr]) -> str:
    """The text of a line, with `ANY` for each argument that is not a constant."""
    values = iter(arguments)

    def fill(placeholder: re.Match[str]) -> str:
        value = next(values, None)
        if isinstance(value, ast.Constant):
            return str(value.value)
        return CONSTANTS.get(value.id, ANY) if isinstance(value, ast.Name) else ANY

    return re.sub(r"%[-+.\d]*[sdrgf]", fill, text.replace("\n", " "))


def call(node: ast.AST) -> tuple[str, list[ast.expr]] | None:
    """The level and the arguments of a call that logs; None for other nodes."""
    if not isinstance(node, ast.Call):
        return None
    function, arguments = node.func, node.args
    if isinstance(function, ast.Name) and function.id == "HaltServer":
        # Gunicorn logs it when it stops.
        return "ERROR", [ast.Constant("Reason: %s"), *arguments]
    if isinstance(function, ast.Attribute) and function.attr.startswith("enqueue") and arguments:
        function, arguments = arguments[0], arguments[1:]
    if (isinstance(function, ast.Attribute) and function.attr in LEVELS
            and re.search(r"\b_?log(ger)?$", ast.unparse(function.value))):
        return LEVELS[function.attr], arguments
    return None


def logged() -> Iterator[tuple[str, str, str]]:
    """Level, text and place of every call that logs."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            found = call(node)
            if found is None or ast.unparse(found[1][0]) == "message":
                # LogQueue passes on the message of its caller.
                continue
            level, (text, *arguments) = found
            place = f"{path.relative_to(PACKAGE)}:{text.lineno}" if hasattr(text, "lineno") else path.name
            alternatives = texts(text)
            assert alternatives, f"{place}: the text of a log line must be a literal or a constant"
            for alternative in alternatives:
                yield level, filled(alternative, arguments), place


def documented(page: str = PAGE) -> dict[str, str]:
    """Level by text of the rows of *page*; a name in angle brackets stands for text that varies."""
    rows = re.findall(r"^\| `\[(\w+)\] ([^`]+)` \| \S[^|]* \| \S[^|]* \|$", page, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^\| `", page, re.MULTILINE)), "each row has a level, a meaning and a fix"
    return {re.sub(r"<[^>]*>", ANY, text): level for level, text in rows}


def test_each_line_is_documented_with_its_level() -> None:
    rows = documented()
    # A finding or an exception is logged as it is. Findings are in docs/checks.md.
    assert [f"{place}: {level} {text}" for level, text, place in logged()
            if text != ANY and rows.get(text) != level] == []


def test_each_row_is_logged() -> None:
    assert set(documented()) - {text for _, text, _ in logged()} == set()


def test_gunicorns_own_lines_are_in_gunicorn() -> None:
    directory = Path(gunicorn.__file__).parent
    source = (directory / "arbiter.py").read_text() + (directory / "sock.py").read_text()
    # Gunicorn puts these lines together from the parts around the arguments.
    parts = {part.strip() for text in documented(GUNICORNS) for part in re.split("<>|Reason:|SIGKILL!", text)}
    assert [part for part in sorted(parts) if part not in source] == []
