"""The streams of Gunicorn's own log handlers, replaced by streams that do not block the worker."""
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from gworkers.logs.loss_counter import LossCounter
from gworkers.logs.stream import LogStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gworkers.hubs.base import Hub


class LogStreams:
    """Replaces streams and locks of the handlers that do nothing but write to a stream.

    To be made while the process still has the rights that it was started with.

    :param logger: Gunicorn's, of whatever class
    :param hub: makes the locks
    """

    def __init__(self, logger: Any, hub: Hub) -> None:
        self._logger = logger
        self._hub = hub
        self._dropped = LossCounter()
        self.replace()

    def _handlers(self) -> Iterator[logging.StreamHandler[Any]]:
        for name in ("error_log", "access_log"):
            for handler in getattr(getattr(self._logger, name, None), "handlers", ()):
                if type(handler) in (logging.StreamHandler, logging.FileHandler):
                    yield handler

    def replace(self) -> None:
        """Replace the streams that have not been replaced yet."""
        for handler in self._handlers():
            stream = handler.stream
            if isinstance(stream, LogStream):
                continue
            handler.lock = self._hub.shared_lock()
            try:
                stream.flush()
                handler.stream = LogStream(stream, self._hub)
            except (AttributeError, OSError, ValueError):
                # There is none yet, or it has no descriptor.
                continue

    def reopen(self) -> None:
        """Let Gunicorn open the log files anew."""
        self._logger.reopen_files()
        self.replace()

    def flush(self) -> bool:
        """Try again to write what was kept; return whether something is still kept."""
        streams = [handler.stream for handler in self._handlers() if isinstance(handler.stream, LogStream)]
        for stream in streams:
            self._dropped.add(stream.retry())
        return any(stream.waits for stream in streams)

    def dropped(self) -> int:
        """Return how many lines have been dropped since the last report, if another one is due; else 0."""
        return self._dropped.take_if_due()
