"""The setting ``reload``: a worker notices changed code and asks the master for a reload.

Gunicorn's own reloader stops the worker at once, and runs in a greenlet, so that code which blocks the hub blocks it
too. This one runs in a native thread. The master replaces the workers as in any other reload.
"""
from __future__ import annotations

import glob
import os
import re
import signal
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from time import time
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gworkers.code_changes import CODE_CHANGES
from gworkers.logs.thread_log import ThreadLog
from gworkers.shared_state import SERVER_STATE

if TYPE_CHECKING:
    from gworkers.worker.green import GreenWorker

#: Milliseconds between two looks at the files.
INTERVAL = 1000
#: Milliseconds: how long watchfiles collects changes at most, and how often it looks for them.
COLLECT, STEP = 200, 50
COMPILED = re.compile(r"py[co]$")
#: Parts of the paths of installed modules. They are looked at each second only.
INSTALLED = (sysconfig.get_path("stdlib"), f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def install(worker: GreenWorker, engines: dict[str, Any]) -> None:
    """Let Gunicorn create this reloader in the present process, whichever of its *engines* is configured."""
    def create(*, notified: bool, extra_files: Iterable[str] | None, callback: object) -> CodeWatch:
        watch = CodeWatch(worker, extra_files or (), notified=notified)
        worker.hub.start_thread(watch.run)
        return watch

    for engine in engines:
        engines[engine] = partial(create, notified=engine != "poll")


class CodeWatch:
    """Watches the modules of one worker in a native thread, from before it loads the application.

    A notification by watchfiles says only when to look, so changes are also noticed where the file system sends none.

    :param extra: further files, or patterns of their names
    :param notified: whether to use watchfiles, if it is installed
    """

    def __init__(self, worker: GreenWorker, extra: Iterable[str], *, notified: bool) -> None:
        self._worker = worker
        self._log = ThreadLog(worker.log)
        self._extra = tuple(extra)
        self._times: dict[str, int] = {}
        self._looked = time()
        # Imported in the thread of the hub, because locks of greenlets cannot be used in another one.
        self._notify: Any = _rust_notify() if notified else None

    def start(self) -> None:
        """Notice all changes from now on. Gunicorn calls this after it has loaded the application."""
        self._look()

    def run(self) -> None:
        """Watch until the worker drains. Call this in a native thread, before the application is loaded."""
        poll = self._worker.hub.native_poll()
        while self._worker.alive:
            self._look()
            try:
                if self._notify is not None:
                    self._watch()
            except Exception as error:
                # Such as a limit of the operating system.
                self._notify = None
                self._log.warning("watchfiles cannot watch the code: %s. Files are checked each second.", error)
            poll.poll(INTERVAL)

    def _watch(self) -> None:
        """Look whenever a file was changed in one of the directories, and each second."""
        directories: list[str] = []
        while self._worker.alive:
            before, directories = directories, self._directories()
            if directories != before:
                notify = self._notify(directories, False, False, INTERVAL, False, True)
            self._look()
            notify.watch(COLLECT, STEP, INTERVAL, None)

    def _look(self) -> None:
        """Look at all files, and ask for a reload if one of them was changed."""
        looked, self._looked = self._looked, time()
        files = list(self._files())
        blamed = CODE_CHANGES.blamed
        for file in files:
            try:
                status = os.stat(file)
            except OSError:
                # An editor may replace it at this moment.
                continue
            # A file that a worker could not boot with may have been corrected before this first look at it.
            corrected = file not in self._times and file in blamed and CODE_CHANGES.is_newer(status.st_ctime)
            if self._times.setdefault(file, status.st_mtime_ns) != status.st_mtime_ns or corrected:
                self._times[file] = status.st_mtime_ns
                if CODE_CHANGES.claim(status.st_ctime, looked):
                    self._ask(file)

    def _ask(self, file: str) -> None:
        self._log.info("Worker reloading: %s modified", file)
        if SERVER_STATE.reloads_managed:
            try:
                os.kill(self._worker.ppid, signal.SIGHUP)
                return
            except PermissionError:
                # The master runs as root, and this process does not.
                pass
        # The arbiter boots another worker when this one has ended.
        self._worker.alive = False
        self._worker.wake()

    def _files(self) -> Iterator[str]:
        for module in tuple(sys.modules.values()):
            # Other objects, and attributes of lazy modules, may run code when they are read.
            file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
            if isinstance(file, str):
                yield COMPILED.sub("py", file)
        yield from CODE_CHANGES.blamed
        for entry in self._extra:
            yield from glob.glob(entry, recursive=True) if glob.has_magic(entry) else (entry,)

    def _directories(self) -> list[str]:
        """Return the directories of all files that are not installed."""
        names = {os.path.dirname(os.path.realpath(file)) for file in self._files()
                 if not any(part in file for part in INSTALLED)}
        return sorted(filter(os.path.isdir, names))


def _rust_notify() -> Any:
    try:
        return import_module("watchfiles._rust_notify").RustNotify
    except ImportError:
        return None
