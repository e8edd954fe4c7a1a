"""Changes of a file or a directory. watchfiles, an optional dependency, notices them.

A notification says only when to look. Whether there was a change follows from a signature of the file, which is
compared with the one at the last run. So a change is noticed too if no worker has watched at that moment.
"""
from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from gworkers.background.extra import import_extra, require_extra
from gworkers.background.triggers import Source, Step
from gworkers.logs.thread_log import ThreadLog

if TYPE_CHECKING:
    from gworkers.background.scheduler import Scheduler

#: The most files of a directory that are compared.
FILES = 10_000
#: Milliseconds: how long changes are collected at most, how often there is a look for changes, and for how long.
COLLECT, LOOK, TIMEOUT = 400, 100, 2000
#: Seconds until a watch that has failed is tried again.
RETRY = 1.0


@dataclass(frozen=True)
class FileChange:
    """Starts a handler when a file, or a file below a directory, was changed, created or removed."""

    path: str
    #: the signature at the time of the registration, which is usually when the application reads the file
    signature: float = field(default=nan, compare=False)
    kind = "file"
    use = "on_file_change"
    parameters = 0
    queues = True

    def __post_init__(self) -> None:
        require_extra("watchfiles", "background.on_file_change")
        if not os.path.isdir(os.path.dirname(self.path)):
            raise ValueError(f"{self.path} cannot be watched, because its directory does not exist")
        object.__setattr__(self, "signature", signature_of(self.path))

    def source(self, scheduler: Scheduler) -> Source:
        """Return the watch of the file in the worker of *scheduler*."""
        return FileWatch(self, scheduler)


class FileWatch:
    """Watches the path in a native thread, as long as its worker owns the handler.

    :param change: what to watch
    :param scheduler: is woken after a change
    """

    def __init__(self, change: FileChange, scheduler: Scheduler) -> None:
        self._path = change.path
        self._first = change.signature
        self._scheduler = scheduler
        self._log = ThreadLog(scheduler.logger)
        # In the hub's thread, and before the worker serves.
        self._notify: Any = import_extra("watchfiles._rust_notify", "background.on_file_change").RustNotify
        self._stop: Stop | None = None
        #: the signature of the file; NaN until the thread has looked
        self._signature = nan

    def first(self) -> float:
        """Return the signature at the time of the registration."""
        return self._first

    def step(self, last: float) -> Step:
        """Return a change since *last*, the signature at the last run."""
        if self._stop is None:
            self._stop = Stop()
            self._scheduler.hub.start_thread(lambda stop=self._stop: self._run(stop))  # type: ignore[misc]
        signature = self._signature
        if isnan(signature):
            return Step(last)
        return Step(signature, is_due=signature != last)

    def close(self) -> None:
        """End the thread soon."""
        if self._stop is not None:
            self._stop.set()
        self._stop, self._signature = None, nan

    # The thread

    def _run(self, stop: Stop) -> None:
        poll = self._scheduler.hub.native_poll()
        failed = False
        while not stop.is_set():
            try:
                self._watch(stop)
            except Exception as error:
                if not failed:
                    failed = True
                    self._log.warning("The path %s cannot be watched: %s. Its changes are noticed within %g s.",
                                      self._path, error, RETRY)
                self._look(stop)
                poll.poll(RETRY * 1000)

    def _watch(self, stop: Stop) -> None:
        """Watch until the watched directory is another one."""
        recursive = os.path.isdir(self._path)
        # A file may be replaced by another one of its name, so its directory is watched.
        directory = self._path if recursive else os.path.dirname(self._path)
        inode = os.stat(directory).st_ino
        polls = bool(os.environ.get("WATCHFILES_FORCE_POLLING"))
        with self._notify([directory], False, polls, 300, recursive, True) as notify:
            # Changes from now on are notified.
            self._look(stop)
            while True:
                found = notify.watch(COLLECT, LOOK, TIMEOUT, stop)
                if stop.is_set():
                    return
                if found != "timeout" or not recursive:
                    self._look(stop)
                if not os.path.isdir(directory) or os.stat(directory).st_ino != inode:
                    return

    def _look(self, stop: Stop) -> None:
        signature = signature_of(self._path)
        if not stop.is_set() and signature != self._signature:
            self._signature = signature
            self._scheduler.wake()


class Stop:
    """A flag for a native thread. The methods are those that watchfiles calls."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Whether the thread is to end."""
        return self._set

    def set(self) -> None:
        """Let the thread end."""
        self._set = True


def signature_of(path: str) -> float:
    """Return a number that differs if the file, or a file below the directory, differs; 0.0 if it does not exist."""
    digest = blake2b(digest_size=6)
    exists = False
    for name, status in _files(path):
        exists = True
        digest.update(os.fsencode(f"{name}\0{status.st_mtime_ns} {status.st_size} {status.st_ino}\n"))
    return float(int.from_bytes(digest.digest(), "big") + 1) if exists else 0.0


def _files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield *path* and what is below it, at most :data:`FILES` files, in an order that depends on the names only."""
    count = 0
    pending = [path]
    while pending and count < FILES:
        each = pending.pop()
        try:
            yield each, os.stat(each)
            count += 1
            if os.path.isdir(each) and (each == path or not os.path.islink(each)):
                pending += sorted((os.path.join(each, name) for name in os.listdir(each)), reverse=True)
        except OSError:
            # It was removed meanwhile, or is not readable.
            continue
