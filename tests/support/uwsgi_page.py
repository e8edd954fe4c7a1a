"""The tables of uWSGI's options in docs/migrate/uwsgi.md. In tests/: ``python -m support.uwsgi_page`` writes them."""

from __future__ import annotations

import re
from dataclasses import fields

from gworkers.convert.row import Row
from gworkers.convert.rules import missing, nothing
from gworkers.convert.table import SECTIONS
from gworkers.settings import Settings
from support.launch import GUNICORN_SETTINGS
from support.paths import ROOT, TESTS

PAGE = ROOT / "docs/migrate/uwsgi.md"
BEGIN = "<!-- These tables are written by: cd tests && python -m support.uwsgi_page -->\n"
END = "<!-- End of the tables -->\n"
SETTINGS = GUNICORN_SETTINGS | {field.name for field in fields(Settings)}
#: The page that names the tests of each setting.
DEVELOPMENT = (ROOT / "docs/development.md").read_text().partition("## Tests of the settings\n")[2]


def tables() -> str:
    """The tables, one for each group of options."""
    return "\n".join(f"### {heading}\n\n| uWSGI | Here | Test |\n| --- | --- | --- |\n" + "".join(map(line, rows))
                     for heading, rows in SECTIONS.items())


def line(row: Row) -> str:
    names = ", ".join(f"`{name}`" for name in row.names.split())
    return f"| {names} | {row.here} | {' '.join(f'`{name}`' for name in tests(row))} |\n"


def tests(row: Row) -> list[str]:
    """A test of the conversion, and one of each setting that the row names."""
    if row.rule is nothing:
        return ["test_convert_table.py::test_option_needs_nothing"]
    if row.rule is missing:
        return ["test_convert_table.py::test_option_has_advice"]
    named = [name for name in re.findall(r"`(\w+)", row.here) if name in SETTINGS]
    return ["test_convert_table.py::test_option_is_converted", *dict.fromkeys(filter(None, map(test_of, named[:2])))]


def test_of(setting: str) -> str:
    """The first test of a setting; empty if it is Gunicorn's own."""
    found = re.search(rf"^\| `{setting}` \| `(test_\w+)(?:::(test_\w+))?`", DEVELOPMENT, re.MULTILINE)
    if found is None:
        return ""
    path = next(TESTS.glob(f"*/{found[1]}.py"))
    first = found[2] or re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)[0]
    return f"{path.name}::{first}"


def page(text: str) -> str:
    """The text of the page with its tables as they should be."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
