"""Virtual environments of the peers, made on first use and kept in ``.benchmarks/``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".benchmarks"


class EnvironmentFailed(Exception):
    """A virtual environment could not be made; the message ends with what pip said last."""


def cache() -> Path:
    """The directory for all files of a run; git ignores it."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    return CACHE


def prepare(name: str, requirements: tuple[str, ...]) -> Path:
    """Return the ``bin`` directory of the environment *name* with *requirements* installed.

    It is made with the Python that runs this program, and made again when the requirements or that
    Python have changed. Raises EnvironmentFailed.
    """
    directory = cache() / "environments" / name
    stamp = directory / "requirements"
    wanted = "\n".join([sys.version, *requirements])
    if stamp.exists() and stamp.read_text() == wanted:
        return directory / "bin"
    print(f"installing {name}: {' '.join(requirements)}", file=sys.stderr, flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    run(sys.executable, "-m", "venv", str(directory))
    run(str(directory / "bin" / "pip"), "install", "--quiet", *requirements)
    stamp.write_text(wanted)
    return directory / "bin"


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise EnvironmentFailed(f"{' '.join(command)}: " + " / ".join(last))
