"""The short selection, tests/smoke.py, names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from smoke import SELECTION

HERE = Path(__file__).parent
ALL = "".join(path.read_text() for path in HERE.glob("test_*.py"))


@pytest.mark.parametrize("module", SELECTION)
def test_names(module: str) -> None:
    assert (HERE / f"{module}.py").exists()
    # test_wsgi_validate.py has its tests from other modules.
    assert [name for name in SELECTION[module] if f"def {name}(" not in ALL] == []
