"""The replacement of the streams of Gunicorn's log handlers by streams that do not block the worker."""
from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from gworkers.logs.loss_counter import LossCounter
from gworkers.logs.stream import LogStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gworkers.hubs.base import Hub


class LogStreams:
    """Replaces the streams and the locks of Gunicorn's stream and file handlers.

    Create it before the process drops its privileges, because it opens files again.

    :param logger: Gunicorn's logger, of any class
    :param hub: creates the locks
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
                # The handler has no stream yet, or the stream has no file descriptor.
                continue

    def reopen(self) -> None:
        """Reopen the log files."""
        self._logger.reopen_files()
        self.replace()

    def flush(self) -> bool:
        """Write the buffered data again. Return whether data is left in a buffer."""
        streams = [handler.stream for handler in self._handlers() if isinstance(handler.stream, LogStream)]
        for stream in streams:
            self._dropped.add(stream.retry())
        return any(stream.has_pending for stream in streams)

    def dropped(self) -> int:
        """Return the lines dropped since the last report if a report is due; otherwise 0."""
        return self._dropped.take_if_due()
