"""A file that is there while the server is ready, for whoever wants to know: a probe, a script, a load balancer."""
from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any


class Readiness:
    """Keeps the file, which holds the master's process id, so that of two masters each one knows its own.

    :param pid: the master's
    :param log: where to say that the file cannot be written
    """

    def __init__(self, pid: int, log: Any) -> None:
        self._text = f"{pid}\n"
        self._log = log
        self._file: Path | None = None

    def begin(self, place: str | None) -> None:
        """Take away what a master that was killed has left. That of one which is being upgraded stays."""
        try:
            if place and Path(place).read_text() != f"{os.getppid()}\n":
                Path(place).unlink()
        except (OSError, ValueError):
            # Mostly there is none; if it cannot be kept, that is said when it is written.
            pass

    def tell(self, place: str | None, ready: bool) -> None:
        """Let the file at *place*, if that is not None, be there if the server is *ready*, and be gone if it is not."""
        wanted = Path(place) if place and ready else None
        try:
            if self._file is not None and self._file != wanted:
                self._remove(self._file)
            # Another master, after an upgrade that was taken back, may have taken its own away.
            if wanted is not None and (self._file != wanted or not wanted.exists()):
                self._write(wanted)
        except OSError as error:
            if self._file != wanted:
                self._log.error("The readiness file cannot be kept: %s", error)
        self._file = wanted

    def _write(self, file: Path) -> None:
        # In one step, so that nobody reads a part of it.
        draft = file.with_name(f"{file.name}.{self._text.strip()}")
        draft.write_text(self._text)
        os.replace(draft, file)

    def _remove(self, file: Path) -> None:
        with suppress(FileNotFoundError):
            if file.read_text() == self._text:
                file.unlink()
