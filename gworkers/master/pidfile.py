"""The pidfile, which another process may have replaced by something that is no file."""
from __future__ import annotations

from contextlib import suppress
from typing import Any

from gunicorn import pidfile

from gworkers.files import regular_file_exists


class Pidfile(pidfile.Pidfile):  # type: ignore[misc]
    """Gunicorn's, but a FIFO at its path cannot block the master: Gunicorn opens whatever is there."""

    fname: str
    pid: int | None

    @classmethod
    def taken_over(cls, original: Any) -> Pidfile:
        """Return one for the file that *original*, Gunicorn's own object, has created."""
        own = cls(original.fname)
        own.pid = original.pid
        return own

    def validate(self) -> int | None:
        """Return the process id of a running process in the file.

        :raises OSError: also if there is something other than a regular file
        """
        if self.fname:
            regular_file_exists(self.fname)
        pid: int | None = super().validate()
        return pid

    def unlink(self) -> None:
        """Remove the file if it is this process's own."""
        with suppress(OSError):
            if regular_file_exists(self.fname):
                super().unlink()
