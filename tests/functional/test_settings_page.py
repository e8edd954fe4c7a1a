"""docs/settings.md has a row for each setting, and the tests that it names exist."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from gunicorn.config import KNOWN_SETTINGS

from gworkers.settings import PREFIX, Settings

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "settings.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)


def test_each_setting_has_a_row() -> None:
    wanted = {setting.name for setting in KNOWN_SETTINGS} | {field.name for field in fields(Settings)}
    assert wanted - set(ROWS) == set()


def test_no_setting_has_two() -> None:
    assert sorted(set(ROWS)) == sorted(ROWS)


def test_tests_exist() -> None:
    named = re.findall(r"`(test_\w+)(?:::(\w+))?`", PAGE)
    assert len(named) > 100
    for module, test in named:
        files = [path for path in (HERE / f"{module}.py", HERE.parent / f"{module}.py") if path.exists()]
        assert files, module
        assert not test or re.search(rf"\bdef {test}\(", files[0].read_text()), f"{module}::{test}"


def test_defaults_are_those_of_the_code() -> None:
    for name, default in re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE):
        if name in Settings.__dataclass_fields__:
            given = Settings.resolve({}, {PREFIX + name.upper(): default})
            assert getattr(given, name) == getattr(Settings(), name), name
