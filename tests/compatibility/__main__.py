"""Run the tests of libraries and print the table: ``python -m tests.compatibility``.

``--write`` renews the tables in docs/libraries.md if all tests pass and nothing that they need is missing. Other words
are passed to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .results import markdown, read, rows

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "libraries.md"
#: The line of the page after which the tables stand. They end the page.
MARK = "<!-- The rest of this page is written by: python -m tests.compatibility --write -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew the tables in docs/libraries.md")
    args, words = parser.parse_known_args()
    # The page has no test that was skipped because something is missing.
    needs = {"TEST_ALL_RUNTIMES": "1"} if args.write else {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "results"
        # The tests measure deadlines of their own, so as few as the machine has cores run at the same time.
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "servers", "-n", "2", "--ignore",
             "tests/compatibility/test_cancelled_libraries.py", "tests/compatibility", *words],
            cwd=ROOT, env={**os.environ, **needs, "TEST_RESULTS": str(path)}, check=False)
        if not path.exists():
            return done.returncode
        table = markdown(rows(read(path)))
    sys.stdout.write(f"\n{table}")
    if args.write and done.returncode == 0:
        head = PAGE.read_text().partition(MARK)[0]
        PAGE.write_text(f"{head}{MARK}\n{table}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
