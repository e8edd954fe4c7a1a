"""A status address that serves a state which the test writes, and such a state."""

from __future__ import annotations

import copy
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from gworkers.status import page_files

STACK = ("/srv/shop/views.py:12 in checkout\n/srv/shop/payments.py:34 in pay\n"
         "/srv/shop/.venv/lib/python3.11/site-packages/httpx/_client.py:1144 in post\n")


def request_in_flight(path: str = "/", **fields: Any) -> dict[str, Any]:
    return {"method": "GET", "path": path, "peer": "192.0.2.7:41000", "age": 0.2, "state": "waiting", "stack": STACK,
            **fields}


def worker(number: int = 1, **fields: Any) -> dict[str, Any]:
    return {"number": number, "slot": number, "pid": 4100 + number, "generation": 1, "phase": "ready", "age": 61.0,
            "rss": 50 << 20, "published": 0.1, "blocked": 0, "requests": 1000, "in_flight": 0, "overdue": 0,
            "connections": {"open": 7, "idle": 5, "taken_over": 0}, "greenlets": 9,
            "lag": {"p50": 0.0004, "p99": 0.004, "max": 0.02}, "hub_time": 3.5, "in_flight_requests": [], **fields}


def histogram(*counts: int) -> dict[str, Any]:
    """With that number of samples up to 1 ms, 10 ms, 100 ms, 1 s and above."""
    cumulative = list(itertools.accumulate(counts))
    return {"buckets": [list(pair) for pair in zip([0.001, 0.01, 0.1, 1.0], cumulative)], "sum": 1.0,
            "count": cumulative[-1]}


def state(*workers: dict[str, Any], **parts: Any) -> dict[str, Any]:
    now = time.time()
    whole = {
        "server": {"pid": 4100, "gworkers": "0.1.0", "gunicorn": "27.0.1", "state": "serving", "generation": 1,
                   "started": now - 62, "now": now},
        "workers": list(workers),
        "totals": {"requests": {"2xx": 2000, "4xx": 3, "5xx": 1}, "shed": 0, "timed_out": 0, "client_gone": 0,
                   "blocks": 0, "connections_refused": 0, "bytes_in": 1, "bytes_out": 2, "reloads": 0,
                   "failed_reloads": 0, "failed_boots": 0, "recycles": {"max_requests": 0}},
        "request_time": histogram(0, 0, 0, 0, 0), "lag": histogram(0, 0, 0, 0, 0),
        "accept_queue": [{"address": "127.0.0.1:8000", "length": 0, "limit": 2048}], "blocks": [], "reloads": [],
    }
    whole.update(parts)
    return whole


class StatusAddress:
    """Serves the page and ``state``, at ``address`` (``host:port``). The clock of the state is the present.

    With ``status`` other than 200, /state.json has this status and no content.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/state.json":
                    current = copy.deepcopy(outer.state)
                    current["server"]["now"] = time.time()
                    body, kind = json.dumps(current).encode(), "application/json"
                    self.send_response(outer.status)
                elif self.path in page_files.FILES:
                    kind, body = page_files.FILES[self.path]
                    self.send_response(200)
                else:
                    body, kind = b"", "text/plain"
                    self.send_response(404)
                for name, value in page_files.HEADERS.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> StatusAddress:
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
