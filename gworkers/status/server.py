"""The status server: a process that serves the state of a server by HTTP, even while every worker is blocked.

The master starts it with four file descriptors: the shared memory, a socket whose end tells that the master has ended,
the listening socket, and a file to lock while it serves.
"""
from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from time import monotonic, sleep
from typing import Any

from gworkers.status import page_files
from gworkers.status.snapshot import Snapshot

#: The most requests that are served at once.
THREADS = 16
#: The most bytes of the head of a request. What exceeds it is not read.
HEAD_SIZE = 16384
#: Seconds that a client may take to send its request, and to read the response.
TIMEOUT = 5.0
#: Seconds for the requests that are served when the process ends.
FINISH = 1.0
TEXT = "text/plain; charset=utf-8"

#: Status, content type and body.
Answer = tuple[int, str, bytes]


class StatusServer(ThreadingMixIn, HTTPServer):
    """Serves the status on a socket that listens already.

    :param listener: the socket
    :param memory: the file of the shared memory
    """

    daemon_threads = True

    def __init__(self, listener: socket.socket, memory: int) -> None:
        super().__init__(("", 0), StatusHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.memory = memory
        listener.setblocking(False)
        self._lock = threading.Lock()
        self._free = threading.Semaphore(THREADS)
        #: the connections that are open, the oldest first
        self._open: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve *request* in a thread. If too many run, end the oldest, because its client is the slowest."""
        if not self._free.acquire(blocking=False):
            with self._lock, suppress(OSError, IndexError):
                self._open.pop(0).shutdown(socket.SHUT_RDWR)
            self._free.acquire()
        with self._lock:
            self._open.append(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._ended(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve *request*. Runs in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended(request)

    def _ended(self, request: Any) -> None:
        with self._lock:
            if request in self._open:
                self._open.remove(request)
        self._free.release()

    def finish(self) -> None:
        """Accept no more connections, and serve those that are open, for at most :data:`FINISH` seconds each."""
        # It would wait for ever if the server waits for the lock.
        shutdown = threading.Thread(target=self.shutdown, daemon=True)
        shutdown.start()
        shutdown.join(FINISH)
        end = monotonic() + FINISH
        while self._open and monotonic() < end:
            sleep(0.01)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have disconnected or are too slow, and print other errors."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class StatusHandler(BaseHTTPRequestHandler):
    """Serves one request."""

    server: StatusServer
    timeout = TIMEOUT
    server_version = "gworkers"
    sys_version = ""

    def setup(self) -> None:
        """Read the head of the request. The standard library would accept several megabytes."""
        super().setup()
        head = b""
        with self.rfile as file:
            while not head.endswith((b"\n\n", b"\n\r\n")):
                line = file.readline(HEAD_SIZE - len(head))
                if not line:
                    break
                head += line
        self.rfile = io.BytesIO(head)

    def do_GET(self) -> None:
        """Respond to GET."""
        self._respond(send_body=True)

    def do_HEAD(self) -> None:
        """Respond to HEAD."""
        self._respond(send_body=False)

    def log_message(self, *args: Any) -> None:
        """Log nothing: probes and scrapers would fill the log."""

    def _respond(self, *, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        function = PATHS.get(path)
        status, content_type, body = function(self) if function is not None else _file(path)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in page_files.HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        return Snapshot(self.server.memory)


def _state(handler: StatusHandler) -> Answer:
    return 200, "application/json", json.dumps(handler.snapshot().as_json()).encode()


def _metrics(handler: StatusHandler) -> Answer:
    if find_spec("prometheus_client") is None:
        return 501, TEXT, b"prometheus_client is not installed: pip install 'gworkers[metrics]'\n"
    # Imported late, because it is optional.
    from gworkers.status.exposition import render

    body, content_type = render(handler.snapshot(), handler.headers.get("Accept", ""))
    return 200, content_type, body


def _ready(handler: StatusHandler) -> Answer:
    snapshot = handler.snapshot()
    if snapshot.is_ready:
        return 200, TEXT, b"ready\n"
    reason = "the server stops" if snapshot.state == "stopping" else "no worker accepts connections"
    return 503, TEXT, f"not ready: {reason}\n".encode()


def _live(handler: StatusHandler) -> Answer:
    stuck = handler.snapshot().stuck
    if stuck is None:
        return 200, TEXT, b"live\n"
    return 503, TEXT, f"worker {stuck.figures['number']:g} is blocked for {stuck.blocked:.0f} s\n".encode()


def _file(path: str) -> Answer:
    file = page_files.FILES.get(path)
    if file is None:
        return 404, TEXT, b"not found: there are /, /metrics, /ready, /live and /state.json\n"
    return 200, file.content_type, file.body


PATHS: dict[str, Callable[[StatusHandler], Answer]] = {
    "/metrics": _metrics, "/ready": _ready, "/live": _live, "/state.json": _state}


def _become(uid: int, gid: int) -> None:
    """Run as the user of the workers from now on. All modules are loaded, which this user may be unable to read."""
    if find_spec("prometheus_client") is not None:
        import_module("gworkers.status.exposition")
    if os.geteuid() == 0 and uid != 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def main() -> None:
    """Serve until the master ends. The arguments are the file descriptors, the user and the group of the workers."""
    memory, link, listener, lock, uid, gid = map(int, sys.argv[1:7])
    _become(uid, gid)
    # The signals of a terminal or of a service manager reach all processes. This one is needed until the last worker
    # has stopped.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    server = StatusServer(socket.socket(fileno=listener), memory)

    def serve() -> None:
        # While there are two masters, the status process of the first one has locked it.
        fcntl.lockf(lock, fcntl.LOCK_EX)
        server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    socket.socket(fileno=link).recv(1)
    server.finish()
    os._exit(0)
