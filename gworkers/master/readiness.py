"""A file that exists while the server is ready: for probes, scripts and load balancers."""
from __future__ import annotations

import os
import posix
from contextlib import suppress
from secrets import token_hex
from typing import Any

from gworkers.files import NotRegularFileError, open_regular_file, regular_file_exists

#: Bytes to read of the file. A process id is shorter.
READ_SIZE = 64


class Readiness:
    """Creates and removes the file. It contains the master's process id, so each of two masters recognizes its own.

    Only a regular file at the path is opened or replaced. To open anything else could block.

    :param pid: the process id of the master
    :param log: the log for problems with the file
    """

    def __init__(self, pid: int, log: Any) -> None:
        self._text = f"{pid}\n".encode()
        self._log = log
        #: The path of the file that this master has written.
        self._file: str | None = None
        #: The problem that was logged last, if the file has not been written since.
        self._problem: tuple[str, str | None] | None = None

    def remove_stale(self, path: str | None) -> None:
        """Remove the file of a master that was killed. The file of the first master stays while a second one starts."""
        # A problem is logged when the file is written.
        with suppress(OSError):
            if path and _read(path) != f"{os.getppid()}\n".encode():
                os.unlink(path)

    def update(self, path: str | None, ready: bool) -> None:
        """Create the file at *path* if the server is *ready*; remove it otherwise."""
        wanted = path if ready else None
        if self._file is not None and self._file != wanted:
            self._remove(self._file)
            self._file = None
        if wanted is None:
            return
        try:
            exists = regular_file_exists(wanted, follow_symlinks=False)
            # A second master may have replaced the file with its own, and removed it when it stopped.
            if self._file is None or not exists:
                self._write(wanted)
        except OSError as error:
            self._log_problem(wanted, error)

    def _write(self, file: str) -> None:
        # The rename makes the file appear complete. Other users cannot place a link at a random name beforehand.
        draft = f"{file}.{token_hex(8)}"
        fd = posix.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            try:
                posix.write(fd, self._text)
            finally:
                posix.close(fd)
            os.replace(draft, file)
        except OSError:
            os.unlink(draft)
            raise
        self._file, self._problem = file, None

    def _remove(self, file: str) -> None:
        try:
            if _read(file) == self._text:
                os.unlink(file)
        except (FileNotFoundError, NotRegularFileError):
            # Another process has removed or replaced it.
            pass
        except OSError as error:
            self._log.error("The readiness file cannot be removed: %s: %s. Probes find the server ready as long as it "
                            "exists. Remove it.", file, error.strerror)

    def _log_problem(self, file: str, error: OSError) -> None:
        problem = file, error.strerror
        # The arbiter tries again at least once a second.
        if problem != self._problem:
            self._problem = problem
            self._log.error("The readiness file cannot be written: %s: %s. Probes find the server not ready. Remove "
                            "what is in the way, or set readiness_file to another path.", *problem)


def _read(file: str) -> bytes:
    """Return the first bytes of a regular file.

    :raises OSError: if it does not exist, or if it is not a regular file
    """
    fd = open_regular_file(file, follow_symlinks=False)
    try:
        return posix.read(fd, READ_SIZE)
    finally:
        posix.close(fd)
