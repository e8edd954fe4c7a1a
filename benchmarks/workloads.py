"""The workloads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One kind of traffic against one application of ``benchmarks/apps``."""

    name: str
    title: str
    app: str
    """Module in benchmarks/apps."""
    connections: int = 64
    upload: int = 0
    """Bytes of the request's body; 0 sends a GET."""
    close: bool = False
    """Use a new connection for each request."""
    access_log: bool = False
    """The server writes its access log to a file."""
    waiting: bool = False
    """The application waits: servers with threads get one for each connection."""
    bulk: bool = False
    """Count bytes, not requests: few requests fit into a run, and most are incomplete at its end."""

    @property
    def unit(self) -> str:
        return "MiB/s" if self.bulk else "requests/s"


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("hello", "Hello, World", "hello"),
        Workload("flask", "Flask view", "flask_hello"),
        Workload("post", "64 KiB POST", "upload", upload=64 * 1024),
        Workload("download", "1 MiB response", "download", bulk=True),
        Workload("file", "50 MiB wsgi.file_wrapper", "file", connections=8, bulk=True),
        Workload("wait", "500 connections, 10 ms wait", "wait", connections=500, waiting=True),
        Workload("log", "Hello, access log on", "hello", access_log=True),
        Workload("close", "Hello, a connection each", "hello", close=True),
    )
}
