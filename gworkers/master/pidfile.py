"""The pidfile: a FIFO at its path cannot block the master, and a reload does not lose it."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gunicorn import pidfile

from gworkers.files import regular_file_exists


class Pidfile(pidfile.Pidfile):  # type: ignore[misc]
    """Gunicorn's pidfile, which opens regular files only."""

    fname: str
    pid: int | None

    @classmethod
    def taken_over(cls, original: Any) -> Pidfile:
        """Return a pidfile for the file that *original*, Gunicorn's own object, has created."""
        own = cls(original.fname)
        own.pid = original.pid
        return own

    def validate(self) -> int | None:
        """Return the process id in the file, if that process runs.

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


class PidfileKeeper:
    """Keeps the master's pidfile through reloads.

    Gunicorn's reload removes the pidfile before it creates the next one. If that fails, it stops the server. Here the
    pidfile is moved after the reload, and only if its name has changed.
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._reloading = False
        #: The path of the pidfile in the configuration. It is hidden from Gunicorn's reload.
        self._configured: str | None = None
        if arbiter.pidfile is not None:
            arbiter.pidfile = Pidfile.taken_over(arbiter.pidfile)

    @contextmanager
    def reload(self) -> Iterator[None]:
        """The context of Gunicorn's reload, which does not touch the pidfile."""
        arbiter = self._arbiter
        pidfile, arbiter.pidfile = arbiter.pidfile, None
        self._configured = arbiter.cfg.pidfile
        self._reloading = True
        try:
            yield
        finally:
            # A worker that was forked in this context leaves it too, when it exits.
            if os.getpid() == arbiter.pid:
                self._reloading = False
                arbiter.cfg.set("pidfile", self._configured)
                arbiter.pidfile = self._moved(pidfile)

    def hide(self, cfg: Any) -> None:
        """In a reload, hide the pidfile that *cfg* names from Gunicorn."""
        if self._reloading:
            self._configured = cfg.pidfile
            cfg.set("pidfile", None)

    def _moved(self, pidfile: Any) -> Any:
        name = self._configured
        if name is not None and self._arbiter.master_pid:
            # Gunicorn names the pidfile of a second master like this.
            name += ".2"
        if name == (pidfile and pidfile.fname):
            return pidfile
        new = None
        if name is not None:
            new = Pidfile(name)
            try:
                new.create(self._arbiter.pid)
            except (OSError, RuntimeError) as error:
                self._arbiter.log.error("The pidfile could not be created: %s. The previous one stays.",
                                        str(error).rstrip("."))
                return pidfile
        if pidfile is not None:
            pidfile.unlink()
        return new
