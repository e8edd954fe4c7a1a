"""How Gunicorn is set up: what works, and will hurt some day."""
from __future__ import annotations

import os
import socket
from datetime import date
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from gworkers.findings import Finding
from gworkers.shared_state import SERVER_STATE

#: What load balancers usually keep an idle connection to a server for, in seconds.
BALANCER_KEEPALIVE = 60
#: Descriptors that a worker has besides its connections.
OTHER_FILES = 32
#: What ``forwarded_allow_ips`` calls all addresses.
EVERYONE = frozenset(("*", "0.0.0.0/0", "::/0"))
EVENTLET_ENDS = date(2027, 4, 1)


def check(cfg: Any, library: str) -> list[Finding]:
    """Return what *cfg*, Gunicorn's configuration, will hurt with."""
    return [*_root(cfg), *_trust(cfg), *_keepalive(cfg), *_files(cfg), *_end_of_support(library)]


def _root(cfg: Any) -> list[Finding]:
    if os.geteuid() != 0 or cfg.uid != 0:
        return []
    # Where root is intended, a line at each reload would be noise.
    if SERVER_STATE.reloads_managed and SERVER_STATE.warned_of_root:
        return []
    SERVER_STATE.warned_of_root = True
    return [Finding(
        "root", "Gunicorn runs as root and user is not set", "the application may do everything on this machine",
        "Set user and group, for instance --user www-data --group www-data")]


def _trust(cfg: Any) -> list[Finding]:
    open_to_all = [bind for bind in cfg.address if isinstance(bind, tuple) and _is_any(bind[0])]
    if not EVERYONE.intersection(cfg.forwarded_allow_ips) or not open_to_all:
        return []
    return [Finding(
        "trusts-everyone", f"forwarded_allow_ips trusts everyone and {_spelled(open_to_all[0])} is open to everyone",
        "a client that goes round the proxy can say that it came by https, or who it is",
        "Set forwarded_allow_ips to the proxy's address, or bind to an address that only the proxy reaches")]


def _keepalive(cfg: Any) -> list[Finding]:
    remote = [bind for bind in cfg.address if isinstance(bind, tuple) and not _is_loopback(bind[0])]
    if not remote or not 0 < cfg.keepalive < BALANCER_KEEPALIVE:
        return []
    return [Finding(
        "keepalive-short", f"keepalive is {cfg.keepalive} s, and load balancers keep idle connections for "
        f"{BALANCER_KEEPALIVE} s",
        "a request that is on its way while the connection is closed here is answered with a 502 there",
        "Set keepalive above the load balancer's own, for instance --keep-alive 75")]


def _files(cfg: Any) -> list[Finding]:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or cfg.worker_connections + OTHER_FILES <= limit:
        return []
    return [Finding(
        "open-file-limit", f"worker_connections is {cfg.worker_connections}, but a worker may have {limit} open files",
        "connections beyond that are not accepted",
        f"Raise the limit (ulimit -n {cfg.worker_connections + OTHER_FILES}, or LimitNOFILE= of systemd), "
        f"or set worker_connections to {max(limit - OTHER_FILES, 1)}")]


def _end_of_support(library: str) -> list[Finding]:
    if library != "eventlet":
        return []
    return [Finding(
        "eventlet-ends", f"eventlet is supported until {EVENTLET_ENDS:%B %Y}", "it gets no fixes afterwards",
        "Move to gevent: pip install 'gworkers[gevent]', -k gworkers.GeventWorker")]


def _is_any(host: str) -> bool:
    return any(number.is_unspecified for number in _numbers(host))


def _is_loopback(host: str) -> bool:
    numbers = _numbers(host)
    return bool(numbers) and all(number.is_loopback for number in numbers)


def _numbers(host: str) -> list[IPv4Address | IPv6Address]:
    """Return what *host* stands for; nothing if that is not known, which binding to it will tell."""
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return []
    numbers = [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    return [getattr(number, "ipv4_mapped", None) or number for number in numbers]


def _spelled(bind: tuple[Any, ...]) -> str:
    host, port = bind[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
