"""Python paths on which something that workers need is missing, old or broken, in front of what is really installed."""

from __future__ import annotations

import os
import shutil
import signal
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from support.paths import APPS
from support.server import Server

#: Makes greenlets share one context, as old ones did.
SHARING = """
import greenlet
class Sharing(greenlet.greenlet):
    def switch(self, *args):
        self.gr_context = greenlet.getcurrent().gr_context
        return super().switch(*args)
greenlet.greenlet = Sharing
"""

#: For an environment in which greenlet cannot be imported, which coverage would need.
UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}


def path(first: Path) -> str:
    """A PYTHONPATH that begins with that directory."""
    return os.pathsep.join([str(first), str(APPS), *filter(None, [os.environ.get("PYTHONPATH")])])


def at_start(directory: Path, code: str) -> str:
    """A path with code that Python runs before anything else."""
    (directory / "sitecustomize.py").write_text(code)
    return path(directory)


def release(directory: Path, name: str, version: str) -> str:
    """A path on which what is installed under that name says that it is of that version."""
    about = directory / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return path(directory)


def without_extensions(directory: Path, name: str) -> str:
    """A path with a package whose extension modules have been lost."""
    shutil.copytree(package(name), directory / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "tests"))
    return path(directory)


def unimportable(directory: Path, name: str) -> str:
    """A path with a package in pure Python that something else is missing for."""
    (directory / name).mkdir()
    (directory / name / "__init__.py").write_text("import nowhere_to_be_found\n")
    return path(directory)


def bare(directory: Path, *names: str) -> str:
    """The whole path, besides the standard library, of a ``python -S`` for which nothing else is installed."""
    directory = directory / "bare"
    directory.mkdir()
    for name in ("gworkers", "gunicorn", *names):
        (directory / name).symlink_to(package(name))
        installed = distribution(name)
        for file in installed.files or ():
            if file.name == "METADATA":
                about = Path(str(installed.locate_file(file))).parent
                (directory / about.name).symlink_to(about)
    return str(directory)


def package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def refuses_reload(server: Server, config: str) -> None:
    """Reload with another configuration, which is refused and changes nothing, then with the first, which works."""
    file = server.directory / "gunicorn.conf.py"
    good, workers = file.read_text(), server.worker_pids()
    file.write_text(config)
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"\[ERROR\] Reload refused")
    assert server.connect().request().status == 200
    assert server.worker_pids() == workers

    file.write_text(good)
    server.signal(signal.SIGHUP)
    server.wait_for_log(r"^worker \d+ is ready$", count=2 * len(workers))
    assert server.connect().request().status == 200
