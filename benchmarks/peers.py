"""The servers: what each one requires and how it is started for one core.

Each is configured as its own documentation recommends for one process on one core, with keep-alive on,
room for every connection of the workload and no request log unless the workload asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

GUNICORN = "gunicorn==27.0.1"
LAST_EVENTLET_GUNICORN = "gunicorn==25.3.0"
H1C = "gunicorn_h1c==0.6.9"
GEVENT = ("gevent==26.9.0", "greenlet==3.5.6")
EVENTLET = ("eventlet==0.41.3", "greenlet==3.5.6")
FLASK = "flask==3.1.3"
# Gunicorn 27's gevent worker imports it without depending on it.
PACKAGING = "packaging==26.3"
SHARED = {FLASK, PACKAGING}
"""Installed with every peer, or only because another package does not declare it."""
GWORKERS = ("-e", f"{ROOT}[gevent,eventlet]", GUNICORN, *GEVENT, *EVENTLET[:1], FLASK)

PROBE_CONNECTIONS = 1
"""The connection that detects starvation, in addition to those of the workload."""
KEEPALIVE = 75
"""Seconds. Longer than any measurement, so that no server closes connections that another one keeps."""


@dataclass(frozen=True)
class Site:
    """What a server serves, and where."""

    programs: Path
    """The ``bin`` directory of its virtual environment."""
    port: int
    app: str
    connections: int
    """The most connections that are open at once."""
    waiting: bool = False
    close: bool = False
    """Every connection is for one request."""
    access_log: Path | None = None

    @property
    def room(self) -> int:
        return max(1000, 2 * self.connections)


@dataclass(frozen=True)
class Peer:
    name: str
    title: str
    requirements: tuple[str, ...]
    command: Callable[[Site], list[str]]
    environment: str = ""
    """Name of its virtual environment, if it differs from the peer's name."""
    remark: str = ""
    """A remark for the table."""

    @property
    def own(self) -> bool:
        """It is gworkers."""
        return self.requirements is GWORKERS

    @property
    def releases(self) -> list[str]:
        return [item for item in self.requirements if "==" in item and item not in SHARED]


def gunicorn(worker: str, *options: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        log = ["--access-logfile", str(site.access_log)] if site.access_log else []
        return [
            str(site.programs / "gunicorn"),
            *("--worker-class", worker, "--workers", "1", "--bind", f"127.0.0.1:{site.port}"),
            *("--worker-connections", str(site.room), "--keep-alive", str(KEEPALIVE)),
            *("--no-control-socket", *options, *log, f"{site.app}:app"),
        ]

    return command


def gthread(site: Site) -> list[str]:
    # "2-4 x cores" is the documentation's advice; an application that waits needs a thread for each wait.
    threads = site.connections + PROBE_CONNECTIONS if site.waiting else 4
    return gunicorn("gthread", "--threads", str(threads), "--http-parser", "fast")(site)


def script(name: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        log = [str(site.access_log)] if site.access_log else []
        return [str(site.programs / "python"), name, str(site.port), site.app, str(site.room), *log]

    return command


def backlog() -> int:
    """The largest backlog that uWSGI accepts: it refuses to start with more than the system allows."""
    try:
        return min(1024, int(Path("/proc/sys/net/core/somaxconn").read_text()))
    except OSError:
        return 128


def uwsgi(*options: str, router: bool = False) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        # http11 keeps a connection whatever the client asks for.
        listen = "--http" if router else "--http-socket" if site.close else "--http11-socket"
        log = ["--logto", str(site.access_log)] if site.access_log else ["--disable-logging"]
        return [
            str(site.programs / "uwsgi"),
            *(listen, f"127.0.0.1:{site.port}", "--module", f"{site.app}:app", "--pythonpath", "."),
            *("--virtualenv", str(site.programs.parent), "--listen", str(backlog())),
            *("--single-interpreter", "--need-app", "--die-on-term", *options, *log),
        ]

    return command


def uwsgi_threads(site: Site) -> list[str]:
    return uwsgi("--threads", str(site.connections + PROBE_CONNECTIONS))(site)


def granian(site: Site) -> list[str]:
    # The number of blocking threads keeps its default, as its documentation advises. Its backpressure counts
    # connections, so it has to be above their number.
    return [
        str(site.programs / "granian"),
        *("--interface", "wsgi", "--workers", "1", "--port", str(site.port)),
        *(("--backpressure", str(site.room)) if site.room > 1000 else ()),
        *(("--access-log",) if site.access_log else ()),
        f"{site.app}:app",
    ]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "gworkers-gevent",
            "gworkers gevent",
            GWORKERS,
            gunicorn("gworkers.GeventWorker"),
            environment="gworkers",
        ),
        Peer(
            "gworkers-eventlet",
            "gworkers eventlet",
            GWORKERS,
            gunicorn("gworkers.EventletWorker"),
            environment="gworkers",
        ),
        Peer(
            "gunicorn-gevent",
            "gunicorn gevent",
            (GUNICORN, PACKAGING, *GEVENT, FLASK),
            gunicorn("gevent", "--http-parser", "python"),
            remark="with Gunicorn's Python parser",
        ),
        Peer(
            "gunicorn-gevent-h1c",
            "gunicorn gevent, h1c",
            (GUNICORN, H1C, PACKAGING, *GEVENT, FLASK),
            gunicorn("gevent", "--http-parser", "fast"),
        ),
        Peer(
            "gunicorn-eventlet",
            "gunicorn 25.3 eventlet",
            (LAST_EVENTLET_GUNICORN, H1C, PACKAGING, *EVENTLET, FLASK),
            gunicorn("eventlet", "--http-parser", "fast"),
            remark="Gunicorn 26 removed this worker",
        ),
        Peer(
            "gunicorn-gthread",
            "gunicorn gthread",
            (GUNICORN, H1C, FLASK),
            gthread,
            remark="4 threads; a thread for each connection where the application waits",
        ),
        Peer(
            "gevent-pywsgi",
            "gevent.pywsgi",
            (*GEVENT, FLASK),
            script("serve_pywsgi.py"),
            remark="with TCP_NODELAY, without which it answers 23 requests/s on a connection",
        ),
        Peer("eventlet-wsgi", "eventlet.wsgi", (*EVENTLET, FLASK), script("serve_eventlet.py")),
        Peer(
            "uwsgi",
            "uWSGI http11",
            ("uwsgi==2.0.31", FLASK),
            uwsgi(),
            remark="--http11-socket: one connection at a time, the others wait until it goes",
        ),
        Peer(
            "uwsgi-threads",
            "uWSGI http11, threads",
            ("uwsgi==2.0.31", FLASK),
            uwsgi_threads,
            environment="uwsgi",
            remark="--http11-socket with a thread for each connection",
        ),
        Peer(
            "uwsgi-gevent",
            "uWSGI gevent",
            ("uwsgi==2.0.31", *GEVENT, FLASK),
            uwsgi("--http-keepalive", "--gevent", "1000", "--gevent-early-monkey-patch", router=True),
            remark="behind its own HTTP router: its gevent engine does not work with --http11-socket",
        ),
        Peer("granian", "Granian", ("granian==2.8.7", FLASK), granian),
    )
}
