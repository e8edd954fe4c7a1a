"""A file that is there while the server is ready, for whoever wants to know: a probe, a script, a load balancer."""
from __future__ import annotations

import os
import posix
from contextlib import suppress
from secrets import token_hex
from typing import Any

from gworkers.files import NotRegularFileError, open_regular_file, regular_file_exists

#: Bytes of the file that are looked at; a process id is shorter.
LOOKED_AT = 64


class Readiness:
    """Keeps the file, which holds the master's process id, so that of two masters each one knows its own.

    What is at its path and is no regular file stays: it is not opened, which could block, and not replaced.

    :param pid: the master's
    :param log: where to say that the file cannot be written
    """

    def __init__(self, pid: int, log: Any) -> None:
        self._text = f"{pid}\n".encode()
        self._log = log
        #: the file that this master has written
        self._file: str | None = None
        #: what was logged since the file was last written
        self._problem: tuple[str, str | None] | None = None

    def begin(self, place: str | None) -> None:
        """Take away what a master that was killed has left. That of one which is being upgraded stays."""
        # Mostly there is none; if it cannot be kept, that is said when it is written.
        with suppress(OSError):
            if place and _read(place) != f"{os.getppid()}\n".encode():
                os.unlink(place)

    def tell(self, place: str | None, ready: bool) -> None:
        """Let the file at *place*, if that is not None, be there if the server is *ready*, and be gone if it is not."""
        wanted = place if ready else None
        if self._file is not None and self._file != wanted:
            self._remove(self._file)
            self._file = None
        if wanted is None:
            return
        try:
            there = regular_file_exists(wanted, follow_symlinks=False)
            # Another master, after an upgrade that was taken back, may have taken its own away.
            if self._file is None or not there:
                self._write(wanted)
        except OSError as error:
            self._complain(wanted, error)

    def _write(self, file: str) -> None:
        # The rename makes it appear whole. The random name keeps other users from placing a link there beforehand.
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
            # It is gone already, or something else has taken its place.
            pass
        except OSError as error:
            self._log.error("The readiness file cannot be removed: %s: %s. Probes find the server ready as long as it "
                            "exists. Remove it.", file, error.strerror)

    def _complain(self, file: str, error: OSError) -> None:
        problem = file, error.strerror
        # It is tried again whenever the arbiter's loop comes by, once a second at least.
        if problem != self._problem:
            self._problem = problem
            self._log.error("The readiness file cannot be written: %s: %s. Probes find the server not ready. Remove "
                            "what is in the way, or set readiness_file to another path.", *problem)


def _read(file: str) -> bytes:
    """Return the beginning of a regular file.

    :raises OSError: if there is none, or something else
    """
    fd = open_regular_file(file, follow_symlinks=False)
    try:
        return posix.read(fd, LOOKED_AT)
    finally:
        posix.close(fd)
