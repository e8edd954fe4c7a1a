"""The server of a worker: what its connections share, such as application, hub, limits and deadlines."""
from __future__ import annotations

import os
from contextvars import copy_context
from functools import lru_cache
from heapq import merge
from importlib import import_module
from ipaddress import ip_address, ip_network
from itertools import islice, takewhile
from math import inf
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from gworkers.gunicorn_compat import optional
from gworkers.http1.fast import fast_parser
from gworkers.http1.head import HeadParser
from gworkers.http1.response_context import ResponseContext
from gworkers.http1.response_head import ResponseHeads
from gworkers.hubs.guard import contained, hub_callback
from gworkers.logs.invalid_request_log import InvalidRequestLog
from gworkers.logs.queue import LogQueue
from gworkers.serving import access_log
from gworkers.serving.access_log import AccessLog, FormattedAccessLog
from gworkers.serving.client_watch import ClientWatch
from gworkers.serving.connection import Connection
from gworkers.serving.counters import Counters
from gworkers.serving.deadlines import Deadlines
from gworkers.serving.greenlets import RequestGreenlets
from gworkers.serving.hub_time import measure
from gworkers.serving.json_access_log import JsonAccessLog
from gworkers.serving.listener import Listener
from gworkers.serving.outbox import Outbox
from gworkers.serving.request_limits import RequestLimits
from gworkers.serving.runs import Runs

if TYPE_CHECKING:
    from gworkers.hubs.base import Hub
    from gworkers.serving.worker_process import WorkerProcess
    from gworkers.settings import Settings

#: Seconds that a client has to close its side after its last response in a drain.
DRAIN_AWAIT_CLOSE = 0.05
#: Seconds that a new connection has for its first byte before it may be closed to make room for another one.
FIRST_BYTE = 0.5
#: Seconds until a drain that has failed to begin is tried again.
RETRY = 0.1
#: Seconds after which request greenlets that were not needed are ended.
TRIM_INTERVAL = 10.0


class Server:
    """The server of one worker. The configuration is read once, when it is made.

    :param worker: the worker, with its application loaded
    :param hub: the hub of the process
    :param settings: the settings of gworkers
    :param on_idle: called when the last connection is closed in a drain
    """

    def __init__(self, worker: WorkerProcess, hub: Hub, settings: Settings, on_idle: Callable[[], None]) -> None:
        cfg = worker.cfg
        self.worker = worker
        self.hub = hub
        self.cfg = cfg
        #: the log of everything in this folder. The logger itself is not used, because its handlers may raise and wait.
        self.log = LogQueue(hub, worker.log, self.ends_process)
        self.invalid_requests = InvalidRequestLog(hub, self.log)
        self.application: Callable[..., Any] = worker.wsgi
        #: called instead of it for a request that asks for another protocol; None if the hub adds nothing to it
        self.upgrade_application = hub.adapt_application(worker.wsgi)
        self.counters = Counters()
        self._on_idle = on_idle

        self.heads = HeadParser(cfg, fast_parser(cfg))
        self.responses = ResponseContext(cfg, ResponseHeads(optional("gunicorn:SERVER", "gunicorn")), self.log)
        self.time_slice = settings.time_slice or inf
        self.greenlets = RequestGreenlets(hub, self.log, copy_context(), reuse=settings.request_greenlets == "reused",
                                          time_slice=self.time_slice)
        #: the functions of the application that run outside of requests
        self.runs = Runs(worker, hub, self.log, self.time_slice)

        #: see :attr:`gworkers.hubs.base.Hub.pop_taken_flag`
        self.pop_taken_flag = hub.pop_taken_flag
        self.outbox = Outbox(hub, self.log)
        deadlines = self.deadlines = Deadlines(hub, self.log)
        # Connections that have not sent a byte yet, or none since their handshake.
        self.tls_first_byte = deadlines.add(settings.handshake_timeout, Connection.close)
        self.first_byte = deadlines.add(settings.head_timeout, Connection.close)
        self.handshake = deadlines.add(settings.handshake_timeout, Connection.close)
        self.head = deadlines.add(settings.head_timeout, Connection.head_late)
        self.idle = deadlines.add(cfg.keepalive, Connection.close)
        self.body = deadlines.add(settings.body_timeout, Connection.body_late)
        # For the whole trailer section of a chunked body.
        self.trailers = deadlines.add(settings.head_timeout, Connection.body_late)
        self.write = deadlines.add(settings.write_timeout, Connection.write_late)
        self.linger = deadlines.add(settings.linger_timeout, Connection.close)
        # For clients that have the response and nothing more to send. It is shorter in a drain, because the exit of
        # the worker must not wait for clients that keep a connection open. Clients that still send get ``linger``.
        self.await_close = self.linger
        self._drain_idle = deadlines.add(settings.drain_keepalive, Connection.close_if_idle)
        self._drain_await_close = deadlines.add(DRAIN_AWAIT_CLOSE, Connection.close)

        self.limits = RequestLimits(self, settings.request_timeout,
                                    cancels=settings.request_timeout_action == "cancel",
                                    max_active=settings.max_active_requests)
        self.clients = ClientWatch(self, cancels=settings.on_client_gone == "cancel")
        self.discard_body_limit = settings.discard_body_limit
        self.sendfile = cfg.sendfile is not False and hasattr(os, "sendfile")
        self.access = _access_log(worker, self.log, settings)
        #: whether the hub time of requests is measured, because something needs it
        self.measures_hub_time = ((settings.access_log_json or settings.status_address is not None)
                                  and measure(self.greenlets.active))
        self.pre_request = hook(cfg, "pre_request", self.log)
        self.post_request = hook(cfg, "post_request", self.log)
        self._stopping = False
        self._trim_due = monotonic() + TRIM_INTERVAL
        #: whether accepting is paused because of ``worker_connections``
        self.full = False
        self._limit = cfg.worker_connections
        self.connections: set[Connection] = set()
        #: the connections of requests that still run, although their clients have been released
        self.released: set[Connection] = set()
        self._trusts = peer_trust(cfg)
        tls = import_module("gunicorn.sock").ssl_context(cfg) if cfg.is_ssl else None
        self.listeners = [Listener(self, sock, tls) for sock in worker.sockets]

    def start(self) -> None:
        """Start to accept connections."""
        for listener in self.listeners:
            listener.start()

    def stop(self) -> None:
        """Begin the drain: accept no more connections, and serve at most one more request on each that is open."""
        self._stopping = True
        self.responses.keepalive = False
        self.idle = self._drain_idle
        self.await_close = self._drain_await_close
        for listener in self.listeners:
            listener.close()
        # In the hub, because only there a request that has arrived can get a greenlet.
        self.hub.call_soon(self._begin_drain)

    def recover(self) -> None:
        """Try again to begin the drain, which is the only hub callback of this object."""
        self.hub.call_later(RETRY, self._begin_drain)

    @hub_callback
    def _begin_drain(self) -> None:
        for connection in list(self.connections):
            with contained(connection):
                connection.begin_drain()

    def abort(self) -> tuple[int, int]:
        """Close all connections, and disconnect the clients of requests that run.

        :returns: the number of requests that run, including those whose clients have been released; and the number of
            WebSockets and other connections on whose sockets the application has sent itself
        """
        requests, sockets = len(self.released), 0
        for connection in list(self.connections):
            with contained(connection):
                is_socket = connection.taken_over and connection.broken
                if connection.abort():
                    requests += not is_socket
                    sockets += is_socket
        return requests, sockets

    def release_after_fork(self) -> None:
        """Release all sockets in a process that the application has forked. The worker keeps them."""
        self.hub.after_fork_in_child()
        self.log.clear()
        for listener in self.listeners:
            listener.release_after_fork()
        for connection in self.connections:
            connection.release_after_fork()
        self.connections.clear()
        self.deadlines.clear()
        self.runs.release_after_fork()

    @property
    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self.connections)

    @property
    def waiting_count(self) -> int:
        """The number of connections that wait for the first byte of a request."""
        return len(self.idle) + len(self.first_byte) + len(self.tls_first_byte)

    @property
    def is_busy(self) -> bool:
        """Whether connections are open, or requests still run whose clients have been released."""
        return bool(self.connections or self.released)

    def trusts(self, peer: Any) -> bool:
        """Whether *peer* is a proxy that may set the scheme of a request (``forwarded_allow_ips``)."""
        return self._trusts(peer[0]) if isinstance(peer, tuple) else True

    @property
    def has_waiting(self) -> bool:
        """Whether a connection waits for the first byte of a request, and may be closed to make room."""
        return bool(self.idle or self.first_byte or self.tls_first_byte)

    def has_room(self, listener_fd: int) -> bool:
        """Whether a connection may be accepted now. If necessary, one that waits for a request is closed.

        If all connections serve requests, accepting is paused until one is closed or idle: the server is :attr:`full`.
        """
        if len(self.connections) < self._limit:
            return True
        if self.has_waiting:
            # Another worker may have accepted the new connection meanwhile.
            return self.hub.is_readable(listener_fd) and self.evict(1) > 0
        for listener in self.listeners:
            listener.pause()
        self.full = True
        return False

    def opened(self, connection: Connection) -> None:
        """Add a new connection and open it."""
        self.connections.add(connection)
        connection.open()

    def evict(self, count: int) -> int:
        """Close the *count* connections that have waited longest for the first byte of a request.

        Connections that have just been opened, or have just become readable, stay: their requests would be lost.

        :returns: the number of connections that were closed
        """
        opened_before = monotonic() - FIRST_BYTE
        silent = (takewhile(lambda entry: entry[1] < opened_before, queue)
                  for queue in (self.first_byte, self.tls_first_byte))
        waiting = merge(self.idle, *silent, key=itemgetter(1))
        evicted = list(islice((connection for connection, _ in waiting
                               if not self.hub.is_readable(connection.sock.fileno())), count))
        for connection in evicted:
            with contained(connection):
                connection.close()
        self.counters.connections_refused += len(evicted)
        return len(evicted)

    def closed(self, connection: Connection) -> None:
        """Remove a connection that is closed."""
        self.connections.discard(connection)
        if self._stopping:
            self._end_drain_if_idle()
        elif self.full:
            self.resume_accepting()

    def released_request_ended(self, connection: Connection) -> None:
        """A request has ended whose client was released before."""
        self.released.discard(connection)
        self._end_drain_if_idle()

    def _end_drain_if_idle(self) -> None:
        """Report the end of the drain if this was the last connection or request."""
        if self._stopping and not self.is_busy:
            self._on_idle()

    def resume_accepting(self) -> None:
        """Accept connections again after the server was full."""
        self.full = False
        if not self._stopping:
            for listener in self.listeners:
                listener.start()

    def ends_process(self, error: BaseException) -> bool:
        """Return whether *error* ends this process: the SystemExit of SIGABRT, but not one of the application."""
        return self.worker.aborting and isinstance(error, SystemExit)

    def trim(self) -> None:
        """End request greenlets that are not needed, if it is time to. Called between two heartbeats."""
        now = monotonic()
        if now >= self._trim_due:
            self._trim_due = now + TRIM_INTERVAL
            self.hub.call_soon(self.greenlets.trim)


def _access_log(worker: WorkerProcess, log: LogQueue, settings: Settings) -> AccessLog | None:
    if not access_log.wanted(worker.cfg, worker.log):
        return None
    if settings.access_log_json:
        return JsonAccessLog(worker.log, log)
    return FormattedAccessLog(worker.log, log, worker.cfg.access_log_format)


def hook(cfg: Any, name: str, log: LogQueue) -> Callable[..., None] | None:
    """Return the server hook *name*, or None if it is Gunicorn's default, which does nothing.

    The default of ``pre_request`` writes to the debug log. It is replaced by one that uses *log*, which cannot fail.
    """
    setting = cfg.settings[name]
    function = setting.get()
    if function is not setting.default:
        return function  # type: ignore[no-any-return]
    if name == "pre_request" and log.has_debug:
        return lambda worker, request: log.debug("%s %s", request.method, request.path)
    return None


def peer_trust(cfg: Any) -> Callable[[str], bool]:
    """Return a function that says whether an address is in ``forwarded_allow_ips``."""
    allowed = cfg.forwarded_allow_ips
    if "*" in allowed:
        return lambda address: True
    networks = [ip_network(entry, strict=False) for entry in allowed]

    @lru_cache(maxsize=1024)
    def trusts(address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in networks)

    return trusts
