"""Where the repository and its parts are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
APPS = TESTS / "apps"
#: Applications that need a third-party library.
LIBRARY_APPS = TESTS / "compatibility" / "apps"
