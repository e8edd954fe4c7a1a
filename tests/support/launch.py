"""What a test server is: the command line, configuration and environment of its Gunicorn."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gunicorn.config import KNOWN_SETTINGS

from support.paths import APPS

#: The worker classes by hub. The toy hub is no library, so it is tested where a test or TEST_HUBS names it.
WORKERS = {"gevent": "gworkers.GeventWorker", "eventlet": "gworkers.EventletWorker", "toy": "toy_hub.ToyWorker"}

GUNICORN_SETTINGS = {setting.name for setting in KNOWN_SETTINGS}

#: Follows the test's own configuration. It speaks past the logger, whose level and file are the test's,
#: and past os.write, which eventlet patches.
ANNOUNCE = """
import io as _io, os as _os
_own_post_worker_init = globals().get("post_worker_init")
def post_worker_init(worker):
    import gworkers.logs.invalid_request_log
    # Tests that share a server send many invalid requests, and each looks for its line in the log.
    gworkers.logs.invalid_request_log.LINES = 1_000_000
    if _own_post_worker_init is not None:
        _own_post_worker_init(worker)
    _io.FileIO(2, "w", closefd=False).write(b"worker %d is ready\\n" % _os.getpid())
"""

#: How every worker's log fails, if it does; tests/apps/log_handler.py says which ways there are.
LOG_HANDLER = os.environ.get("TEST_LOG_HANDLER", "")
#: What a configuration has to end with so that it does.
INSTALL_LOG_HANDLER = f"""
import sys as _sys
_sys.path.append({str(APPS)!r})
import log_handler as _log_handler
_log_handler.install()
""" if LOG_HANDLER else ""
ANNOUNCE += INSTALL_LOG_HANDLER

#: Gunicorn before 25 has no http_parser setting.
WITHOUT_FAST_PARSER = "import gworkers.http1.fast as _fast\n_fast.fast_parser = lambda cfg: None\n"


@dataclass(frozen=True)
class Setup:
    """What distinguishes one server from another; equal setups may share a server.

    ``options`` are more words for Gunicorn's command line, ``config`` the text of its configuration file,
    ``settings`` are gworkers' own (``(("head_timeout", 0.5),)``), passed as GWORKERS_* variables,
    ``env`` is more environment, ``bind`` takes the place of the address that ``transport`` stands for.
    With ``worker_class`` or ``bind`` "from config", and ``workers`` 0, the command line says nothing of them.
    """

    app: str
    hub: str = "gevent"
    transport: str = "tcp"
    parser: str = "fast"
    options: tuple[str, ...] = ()
    config: str = ""
    settings: tuple[tuple[str, object], ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workers: int = 1
    bind: tuple[str, ...] = ()
    worker_class: str = ""

    def command(self, directory: Path) -> list[str]:
        """To start it in that directory, where its configuration file is written."""
        own = "127.0.0.1:0" if self.transport == "tcp" else f"unix:{directory}/listener"
        config = self.config + ANNOUNCE
        command = [sys.executable, "-m", "gunicorn", "--chdir", str(directory)]
        if self.parser == "python":
            if "http_parser" in GUNICORN_SETTINGS:
                command += ["--http-parser", "python"]
            else:
                config = WITHOUT_FAST_PARSER + config
        if "control_socket_disable" in GUNICORN_SETTINGS:
            command.append("--no-control-socket")
        (directory / "gunicorn.conf.py").write_text(config)
        if self.worker_class != "from config":
            command += ["-k", self.worker_class or WORKERS[self.hub]]
        if self.bind != ("from config",):
            for address in self.bind or (own,):
                command += ["--bind", address]
        if self.workers:
            command += ["--workers", str(self.workers)]
        return [*command, *self.options, self.app]

    def environment(self) -> dict[str, str]:
        """Of this process, without what would change the server, and with the test applications."""
        environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("GWORKERS_", "GUNICORN_")) and name not in ("WEB_CONCURRENCY", "PORT")
        }
        # A file that has changed is read again, even if it is as long as before and of the same second.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(APPS), *filter(None, [environment.get("PYTHONPATH")])])
        for name, value in self.settings:
            environment[f"GWORKERS_{name.upper()}"] = str(value)
        environment.update(self.env)
        return environment


def importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def hubs() -> list[str]:
    """To test: TEST_HUBS, a comma list, or all that are installed. A name that is no hub is a ``ValueError``."""
    wanted = os.environ.get("TEST_HUBS", "").replace(",", " ").split()
    for name in wanted:
        if name not in WORKERS:
            raise ValueError(f"TEST_HUBS names {name!r}, which is no hub; known are {', '.join(WORKERS)}")
    return wanted or [name for name in WORKERS if importable(name)]


def parsers() -> list[str]:
    """To test; the first is the default."""
    return ["fast", "python"]
