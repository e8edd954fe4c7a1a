"""Log lines of a native thread, which calls Gunicorn's logger directly, because the log queue needs the hub."""
from __future__ import annotations

from typing import Any

from gworkers.error_text import print_traceback


class ThreadLog:
    """Passes log lines to Gunicorn's logger. An exception of a handler is printed to stderr.

    :param logger: Gunicorn's logger, of any class
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def info(self, message: str, *args: object) -> None:
        """Log a step that was taken."""
        try:
            self._logger.info(message, *args)
        except Exception as error:
            print_traceback(error)

    def warning(self, message: str, *args: object) -> None:
        """Log a possible problem."""
        try:
            self._logger.warning(message, *args)
        except Exception as error:
            print_traceback(error)
