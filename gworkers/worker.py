"""The worker classes: one Gunicorn worker process, from boot to exit."""
from __future__ import annotations

import os
import posix
import sys
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from gunicorn.config import NewSSLContext
from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

from gworkers import hubs
from gworkers.errors import RequirementError, SettingsError
from gworkers.http1.fast import fast_parser
from gworkers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from gworkers.hubs.base import Hub
    from gworkers.server import Server

#: Seconds between two heartbeats, unless ``timeout`` is so short that they must be closer.
HEARTBEAT = 1.0


class GreenWorker(Worker):  # type: ignore[misc]
    """What all green workers do; a subclass names its hub.

    Gunicorn makes the object in its master and calls :meth:`init_process` after the fork.
    """

    hub_name: ClassVar[str]
    _overrides: ClassVar[Mapping[str, object]] = {}

    #: whether to go on serving; a signal, a hook or max_requests clears it
    alive: bool
    hub: Hub
    server: Server

    @classmethod
    def configure(cls, **settings: object) -> type[GreenWorker]:
        """Return a worker class with gworkers' own *settings*, for ``worker_class`` in gunicorn.conf.py.

        They are checked when Gunicorn starts, so that a mistake is one line there and no traceback here.
        """
        return type(cls.__name__, (cls,), {"_overrides": {**cls._overrides, **settings}, "__module__": cls.__module__})

    @classmethod
    def setup(cls) -> None:
        """Gunicorn's master has looked the class up: check what can be known before the fork.

        :raises RequirementError: if the hub's library is not installed
        :raises SettingsError: if one of gworkers' settings cannot be used
        """
        library = hubs.HUBS[cls.hub_name].library
        if find_spec(library) is None:
            raise RequirementError(f"{cls.__name__} runs on {library}, which is not installed: "
                                   f"pip install 'gworkers[{library}]'")
        Settings.resolve(cls._overrides, os.environ)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what a green worker cannot do. Gunicorn's master calls it once, at start.

        :raises SettingsError: naming the setting
        """
        Settings.resolve(cls._overrides, os.environ)
        refuse_unsupported(cfg)
        fast_parser(cfg)
        check_certificate(cfg)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = self.cfg.worker_connections
        #: whether SIGABRT is ending the process
        self.aborting = False
        self._quit = False
        self._reopen_logs = False
        #: whether there is somebody to read the notes that signals leave
        self._reads_notes = False

    # Boot

    def init_process(self) -> None:
        """Become a worker: patch, load the application, serve until told to stop."""
        hubs.patch(self.hub_name)
        # All of it, while the process still has the rights that it was started with.
        import_module("gworkers.server")
        self.hub = hubs.create(self.hub_name)
        super().init_process()

    def run(self) -> None:
        """Serve, then drain. Called by Gunicorn's base class once the application is loaded."""
        from gworkers.server import Server

        self._reads_notes = True
        # Until there is a server, a failure is one to boot, which stops Gunicorn, not one to try again for ever.
        self.booted = False
        settings = Settings.resolve(self._overrides, os.environ)
        self.server = Server(self, self.hub, settings, self._wake)
        self.booted = True
        self.server.start()
        while self.alive:
            self._beat(HEARTBEAT)
        self._drain()

    def _beat(self, seconds: float) -> None:
        """Tell the arbiter that all is well, then wait for a signal or a wake-up, at most for *seconds*."""
        self.notify()
        if self.timeout:
            # Gunicorn hands over half of the configured timeout; a beat is due well within the whole.
            seconds = min(seconds, self.timeout / 2)
        if self.hub.wait_readable(self.PIPE[0], seconds):
            posix.read(self.PIPE[0], 4096)
        if self._reopen_logs:
            self._reopen_logs = False
            self.log.reopen_files()
        self._quit_if_told()

    def _quit_if_told(self) -> None:
        if self._quit:
            self.cfg.worker_int(self)
            sys.exit(0)

    def _wake(self) -> None:
        try:
            # os.write may be patched, and this is called in the hub, which must not wait.
            posix.write(self.PIPE[1], b".")
        except BlockingIOError:
            # It is full of wake-ups already.
            pass

    def _drain(self) -> None:
        self._quit_if_told()
        self.server.stop()
        until = monotonic() + self.cfg.graceful_timeout
        while self.server.connection_count:
            left = until - monotonic()
            if left <= 0:
                cut = self.server.abort()
                self.log.warning("Worker graceful timeout (pid:%s): %s connections were cut", self.pid, cut)
                return
            self._beat(min(left, HEARTBEAT))

    def notify(self) -> None:
        """Beat the heart, and leave if the master has gone."""
        super().notify()
        if self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            sys.exit(0)

    def recycle(self) -> None:
        """Make way for a successor: ``max_requests`` have been served."""
        if self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self._wake()

    # Signals. Handlers run in whatever greenlet is running, the hub's too, which must not block:
    # they leave a note for the main greenlet, which the wake-up descriptor has woken.

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: leave at once."""
        self.alive = False
        self._quit = True
        if not self._reads_notes:
            self._quit_if_told()

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """SIGUSR1: reopen the log files."""
        self._reopen_logs = True

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: the arbiter has had no heartbeat for ``timeout`` seconds."""
        self.aborting = True
        super().handle_abort(sig, frame)


class GeventWorker(GreenWorker):
    """Serves on gevent."""

    hub_name = "gevent"


class EventletWorker(GreenWorker):
    """Serves on eventlet."""

    hub_name = "eventlet"


def check_certificate(cfg: Any) -> None:
    """Find out before the fork whether a TLS session could be had with ``certfile`` and ``keyfile``.

    :raises SettingsError: if not
    """
    if not cfg.is_ssl or cfg.settings["ssl_context"].get() is not NewSSLContext.default:
        return
    try:
        ssl_context(cfg)
    except (OSError, ValueError) as error:
        used = [f"{name} {getattr(cfg, name)!r}" for name in ("certfile", "keyfile", "ca_certs", "ciphers")
                if getattr(cfg, name)]
        raise SettingsError(f"there can be no TLS with {', '.join(used)}: {error}") from None


def refuse_unsupported(cfg: Any) -> None:
    """Refuse settings of Gunicorn that would silently do nothing here.

    :raises SettingsError: naming the first one found
    """
    if "h2" in getattr(cfg, "http_protocols", ()):
        raise SettingsError("http_protocols has h2, but gworkers does not speak HTTP/2 yet: use h1, "
                            "and let the proxy in front speak HTTP/2")
    if getattr(cfg, "http2_cleartext", "off") != "off":
        raise SettingsError("http2_cleartext is on, but gworkers does not speak HTTP/2 yet: turn it off")
    if getattr(cfg, "protocol", "http") != "http":
        raise SettingsError(f"protocol is {cfg.protocol!r}, but gworkers speaks HTTP only: use 'http', "
                            "and proxy_pass instead of uwsgi_pass in nginx")
