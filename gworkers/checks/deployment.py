"""Checks of the deployment for settings that work at first and cause problems later."""
from __future__ import annotations

import os
import socket
import sys
from datetime import date
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from gworkers.findings import Finding
from gworkers.shared_state import SERVER_STATE

if TYPE_CHECKING:
    from gworkers.settings import Settings

#: Seconds that load balancers usually keep an idle connection to a server open.
BALANCER_KEEPALIVE = 60
#: The same for Heroku's router. https://devcenter.heroku.com/articles/http-routing#keepalives
HEROKU_KEEPALIVE = 90
#: File descriptors of a worker besides its connections.
OTHER_FILES = 32
#: Bytes in the path of a Unix socket. Linux allows 107, macOS 103.
MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
#: The values in ``forwarded_allow_ips`` that stand for all addresses.
ALL_ADDRESSES = frozenset(("*", "0.0.0.0/0", "::/0"))
EVENTLET_END_OF_SUPPORT = date(2027, 4, 1)


def check(cfg: Any, library: str) -> list[Finding]:
    """Return warnings about *cfg*, Gunicorn's configuration, for a worker that runs on *library*."""
    return [*_root(cfg), *_trust(cfg), *_keepalive(cfg), *_files(cfg), *_control_socket(cfg),
            *_reload(cfg), *_end_of_support(library)]


def check_status(settings: Settings) -> list[Finding]:
    """Return warnings about the status server."""
    if settings.status_address is None or find_spec("prometheus_client") is not None:
        return []
    return [Finding(
        "metrics-missing", "status_address is set, but prometheus_client is not installed",
        "/metrics responds with 501; the rest of the status server works", "pip install 'gworkers[metrics]'")]


def _root(cfg: Any) -> list[Finding]:
    if os.geteuid() != 0 or cfg.uid != 0:
        return []
    # One warning is enough if root is intended, so a reload does not repeat it.
    if SERVER_STATE.reloads_managed and SERVER_STATE.warned_of_root:
        return []
    SERVER_STATE.warned_of_root = True
    return [Finding(
        "root", "Gunicorn runs as root and user is not set", "the application has full control of this machine",
        "Set user and group, for instance --user www-data --group www-data")]


def _trust(cfg: Any) -> list[Finding]:
    open_to_all = [bind for bind in cfg.address if isinstance(bind, tuple) and _is_any(bind[0])]
    if not ALL_ADDRESSES.intersection(cfg.forwarded_allow_ips) or not open_to_all:
        return []
    return [Finding(
        "trusts-everyone",
        f"forwarded_allow_ips trusts all addresses, and {_format_address(open_to_all[0])} is open to all",
        "a client that bypasses the proxy can claim to use https, or to have another address",
        "Set forwarded_allow_ips to the address of the proxy, or bind to an address that only the proxy can reach")]


def _keepalive(cfg: Any) -> list[Finding]:
    remote = [bind for bind in cfg.address if isinstance(bind, tuple) and not _is_loopback(bind[0])]
    # Heroku sets this variable in each of its containers.
    heroku = "DYNO" in os.environ
    balancer, limit = ("Heroku's router keeps", HEROKU_KEEPALIVE) if heroku else (
        "load balancers keep", BALANCER_KEEPALIVE)
    if not remote or not 0 < cfg.keepalive < limit:
        return []
    return [Finding(
        "keepalive-short", f"keepalive is {cfg.keepalive} s, but {balancer} idle connections open for {limit} s",
        f"{'it' if heroku else 'a load balancer'} answers a request with {503 if heroku else 502} if the worker closes "
        "the connection at the same time",
        f"Set keepalive to more than the timeout of the load balancer, for instance --keep-alive {limit + 15}")]


def _files(cfg: Any) -> list[Finding]:
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or cfg.worker_connections + OTHER_FILES <= limit:
        return []
    return [Finding(
        "open-file-limit", f"worker_connections is {cfg.worker_connections}, but the limit of open files is {limit}",
        "connections above this limit are not accepted",
        f"Raise the limit (ulimit -n {cfg.worker_connections + OTHER_FILES}, or LimitNOFILE= in systemd), "
        f"or set worker_connections to {max(limit - OTHER_FILES, 1)}")]


def _control_socket(cfg: Any) -> list[Finding]:
    # Gunicorn before 25.1 has no control socket.
    path = getattr(cfg, "control_socket", None)
    if not path or getattr(cfg, "control_socket_disable", True):
        return []
    path = os.path.abspath(path)
    directory = os.path.dirname(path)
    # Gunicorn creates the directory.
    while not os.path.exists(directory):
        directory = os.path.dirname(directory)
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        reason = f"the path has more than {MAX_SOCKET_PATH} bytes"
    elif os.path.isdir(directory) and os.access(
            directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return []
    else:
        reason = f"Gunicorn may not write to {directory}"
    return [Finding(
        "control-socket", f"the control socket {path} cannot be created, because {reason}",
        "gunicornc cannot connect, and Gunicorn logs an error after each fork of a worker",
        "Turn it off with --no-control-socket, or choose another path: --control-socket /run/hello/gunicorn.ctl")]


def _reload(cfg: Any) -> list[Finding]:
    if not (cfg.reload and cfg.preload_app):
        return []
    return [Finding(
        "reload-preloaded", "reload and preload_app are on", "changed code is not loaded, because the master has "
        "loaded the application", "Start Gunicorn with --reload and without --preload while you develop")]


def _end_of_support(library: str) -> list[Finding]:
    if library != "eventlet":
        return []
    return [Finding(
        "eventlet-ends", f"eventlet is supported until {EVENTLET_END_OF_SUPPORT:%B %Y}",
        "it gets no fixes afterwards, not even for security problems",
        "Switch to gevent: pip install 'gworkers[gevent]', -k gworkers.GeventWorker")]


def _is_any(host: str) -> bool:
    return any(address.is_unspecified for address in _resolve(host))


def _is_loopback(host: str) -> bool:
    addresses = _resolve(host)
    return bool(addresses) and all(address.is_loopback for address in addresses)


def _resolve(host: str) -> list[IPv4Address | IPv6Address]:
    """Return the addresses of *host*; an empty list if the lookup fails, because bind() reports that error."""
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return []
    addresses = [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]


def _format_address(bind: tuple[Any, ...]) -> str:
    host, port = bind[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
