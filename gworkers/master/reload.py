"""Loading the configuration in the master: a failure changes nothing."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ReloadDone(Exception):
    """Raised inside Gunicorn's ``reload()`` when the new workers are forked.

    The rest of ``reload()`` would wait until the old workers have ended, and would handle no signals meanwhile.
    """


class NotReloadedError(Exception):
    """The configuration could not be loaded, because of *error*. The previous one is in force."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def log_refused(log: Any, cause: str) -> None:
    """Log that a reload does not take place because of *cause*."""
    log.error("Reload refused: %s. The existing workers keep serving. Correct the cause, then send HUP again.", cause)


def load_configuration(arbiter: Any, reload: Callable[[], None]) -> None:
    """Call *reload*, Gunicorn's own, which :exc:`ReloadDone` ends when the new workers are forked.

    The configuration may fail even though a dry run has succeeded, because it may have changed since.

    :raises NotReloadedError: if the configuration cannot be loaded
    """
    before = arbiter.cfg
    try:
        reload()
    except ReloadDone:
        pass
    except (Exception, SystemExit) as error:
        if os.getpid() != arbiter.pid:
            raise
        if arbiter.cfg is not before:
            restore_environment(arbiter.cfg)
        arbiter.app.cfg = before
        arbiter.setup(arbiter.app)
        raise NotReloadedError(error) from error


def restore_environment(cfg: Any) -> None:
    """Undo what *cfg* has set in the environment, as Gunicorn's reload does."""
    for name in cfg.env:
        if name in cfg.env_orig:
            os.environ[name] = cfg.env_orig[name]
        else:
            os.environ.pop(name, None)
