"""Checks of the settings of gworkers and Gunicorn for values that a green worker cannot use."""
from __future__ import annotations

import os
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import Any

from gworkers import hubs
from gworkers.errors import RequirementError, SettingsError
from gworkers.files import open_regular_file
from gworkers.findings import CODES, Finding, invalid_setting
from gworkers.gunicorn_compat import incompatible
from gworkers.gunicorn_internals import Feature
from gworkers.settings import Settings


def refuse_invalid(cfg: Any, settings: Settings, hub: str) -> None:
    """Refuse settings that would have no effect, or would fail later.

    :raises SettingsError: for a setting with an invalid value
    :raises RequirementError: if the application was loaded before the patch, or another library has patched this
        process
    """
    for finding in (*check_gworkers(settings, hub), *check_heartbeat_files(cfg), *check_gunicorn(cfg, settings, hub)):
        raise (SettingsError if finding.code == "invalid-setting" else RequirementError)(finding)


def check_gworkers(settings: Settings, hub: str) -> list[Finding]:
    """Return findings for settings of gworkers that name something that does not exist or cannot be used."""
    parts = ("all", *hubs.HUBS[hub].parts)
    return [
        *(invalid_setting(f"gworkers setting patch names {part!r}", f"{hub} cannot patch it",
                          f"Known are {', '.join(parts)}") for part in settings.patch if part not in parts),
        *_unimportable(settings),
        *_readiness_file(settings),
        *(invalid_setting(f"gworkers setting silence names {code!r}", "no finding has this code",
                          f"Known are {', '.join(sorted(CODES))}") for code in settings.silence if code not in CODES),
    ]


def _unimportable(settings: Settings) -> list[Finding]:
    found = []
    if isinstance(settings.post_patch, str):
        package = settings.post_patch.partition(":")[0].partition(".")[0]
        if find_spec(package) is None:
            found.append(invalid_setting(
                f"gworkers setting post_patch is {settings.post_patch!r}", f"{package} cannot be found",
                "Correct the name, or add its directory to the import path: --pythonpath"))
    if settings.psycopg2 == "wait" and find_spec("psycopg2") is None:
        found.append(invalid_setting("gworkers setting psycopg2 is 'wait'", "psycopg2 is not installed",
                                     "pip install psycopg2-binary, or remove the setting"))
    return found


def _readiness_file(settings: Settings) -> list[Finding]:
    file = settings.readiness_file
    if file is None or os.access(os.path.dirname(os.path.abspath(file)), os.W_OK | os.X_OK):
        return []
    return [invalid_setting(f"gworkers setting readiness_file is {file!r}", "the master cannot create it",
                            "Choose a file in an existing directory that Gunicorn may write to")]


def check_heartbeat_files(cfg: Any) -> list[Finding]:
    """Return a finding if workers cannot create their heartbeat files. Every worker of Gunicorn needs one."""
    try:
        with TemporaryFile(dir=cfg.worker_tmp_dir):
            return []
    except OSError as error:
        directory = repr(cfg.worker_tmp_dir) if cfg.worker_tmp_dir else "not set"
        return [invalid_setting(
            f"worker_tmp_dir is {directory}", f"workers cannot create files there ({error.strerror})",
            "Choose a directory that Gunicorn may write to, preferably in memory, such as /dev/shm on Linux")]


def check_gunicorn(cfg: Any, settings: Settings, hub: str) -> list[Finding]:
    """Return findings for *cfg*, Gunicorn's configuration, in a worker that runs on *hub*."""
    found = [*_unsupported(cfg), *_ports(cfg), *_certificate(cfg), *_preload(cfg, settings, hub)]
    conflict = other_patch_finding(hub)
    return found if conflict is None else [conflict, *found]


def other_patch_finding(hub: str) -> Finding | None:
    """Return a finding if a library other than that of *hub* has patched this process."""
    other = hubs.other_patching_hub(hub)
    if other is None:
        return None
    return Finding(
        "patched-by-other-library", f"{other} has patched the standard library, but the worker runs on {hub}",
        "a request that waits would block all others, or end the worker",
        f"Remove the monkey patch of {other} from gunicorn.conf.py or the application: gworkers patches by itself",
        fatal=True)


def _unsupported(cfg: Any) -> list[Finding]:
    found = []
    if "h2" in getattr(cfg, "http_protocols", ()):
        found.append(invalid_setting("http_protocols has h2", "gworkers does not speak HTTP/2 yet",
                                     "Use h1, and HTTP/2 in the proxy in front"))
    if getattr(cfg, "http2_cleartext", "off") != "off":
        found.append(invalid_setting(
            f"http2_cleartext is {cfg.http2_cleartext!r}", "gworkers does not speak HTTP/2 yet", "Set it to 'off'"))
    if cfg.worker_connections < 1:
        found.append(invalid_setting(
            f"worker_connections is {cfg.worker_connections}", "no connection could be accepted",
            "Set it to the maximum number of connections of a worker, for instance 1000"))
    if getattr(cfg, "protocol", "http") != "http":
        found.append(invalid_setting(f"protocol is {cfg.protocol!r}", "gworkers speaks HTTP only",
                                     "Use 'http', and proxy_pass instead of uwsgi_pass in nginx"))
    return found


def _ports(cfg: Any) -> list[Finding]:
    # Gunicorn accepts every number.
    return [invalid_setting(f"bind has port {address[1]}", "a port is a number from 0 to 65535", "Correct the port")
            for address in cfg.address if isinstance(address, tuple) and not 0 <= address[1] <= 65535]


def _certificate(cfg: Any) -> list[Finding]:
    if not cfg.is_ssl:
        return []
    off = incompatible(Feature.TLS)
    if off is not None:
        return [replace(off, fatal=True)]
    setting = cfg.settings["ssl_context"]
    if setting.get() is not setting.default:
        return []
    # OpenSSL does not name the file that it cannot read.
    unreadable = [_unreadable(name, getattr(cfg, name)) for name in ("certfile", "keyfile", "ca_certs")]
    if any(unreadable):
        return list(filter(None, unreadable))
    try:
        import_module("gunicorn.sock").ssl_context(cfg)
    except (OSError, TypeError, ValueError) as error:
        used = [f"{name} {getattr(cfg, name)!r}" for name in ("certfile", "keyfile", "ca_certs", "ciphers")
                if getattr(cfg, name)]
        # str() of an SSLError without an error number is a tuple.
        reason = str(error.args[-1] if error.args else error).rstrip(".")
        return [invalid_setting(
            f"TLS cannot be set up with {', '.join(used)}", reason,
            "Check that the files are PEM, the key belongs to the certificate, and OpenSSL supports the ciphers")]
    return []


def _unreadable(name: str, path: str | None) -> Finding | None:
    if not path:
        return None
    try:
        # Opening a FIFO would block until another process opens it for writing.
        os.close(open_regular_file(path))
    except FileNotFoundError:
        return invalid_setting(f"{name} is {path!r}", "there is no such file", "Correct the path")
    except OSError as error:
        return invalid_setting(f"{name} is {path!r}", f"it cannot be read ({error.strerror})",
                               "Check that it is a file, and that the user who starts Gunicorn may read it")
    return None


def _preload(cfg: Any, settings: Settings, hub: str) -> list[Finding]:
    missing = hubs.unpatched_parts(hub, settings.patch)
    if not cfg.preload_app or not missing:
        return []
    unpatched = "the standard library is not"
    if hubs.patched_parts(hub):
        unpatched = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not"
    return [Finding(
        "preload-unpatched", f"preload_app loads the application in the master, where {unpatched} patched",
        "modules that it imports may block the hub, and with it all other requests",
        f"Turn preload_app off, or begin gunicorn.conf.py with: {hubs.HUBS[hub].master_patch_code}", fatal=True)]
