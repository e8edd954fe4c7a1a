"""``python -m gworkers`` is the command ``gworkers``."""
from __future__ import annotations

import sys

from gworkers.cli import main

if __name__ == "__main__":
    sys.exit(main())
