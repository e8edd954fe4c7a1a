"""What of Gunicorn's configuration cannot work here, found before anything is served."""
from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gunicorn
from gunicorn.config import NewSSLContext
from gunicorn.sock import ssl_context

from gworkers import hubs
from gworkers.checks.findings import CODES, Finding
from gworkers.errors import RequirementError, SettingsError
from gworkers.http1.fast import fast_parser
from gworkers.settings import Settings

#: How a gunicorn.conf.py begins that patches the master.
PATCH_MASTER = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    # Gunicorn 23's master calls os.write() where eventlet's cannot be called.
    "eventlet": f"import eventlet; eventlet.monkey_patch({'os=False' if gunicorn.version_info < (24,) else ''})",
}


def check(cfg: Any, settings: Settings, hub: str) -> None:
    """Refuse what would silently do nothing, or fail later.

    :raises SettingsError: naming the setting
    :raises RequirementError: if the application was loaded before the patch
    """
    for finding in (*own(settings, hub), *gunicorns(cfg, settings, hub)):
        raise (RequirementError if finding.code == "preload-unpatched" else SettingsError)(str(finding))


def own(settings: Settings, hub: str) -> list[Finding]:
    """Return names in gworkers' own settings that name nothing."""
    parts = ("all", *hubs.HUBS[hub].parts)
    return [
        *(_setting(f"gworkers setting patch names {part!r}", f"{hub} cannot patch that",
                   f"Known are {', '.join(parts)}") for part in settings.patch if part not in parts),
        *_importable(settings),
        *(_setting(f"gworkers setting silence names {code!r}", "there is no such finding",
                   f"Known are {', '.join(sorted(CODES))}") for code in settings.silence if code not in CODES),
    ]


def _importable(settings: Settings) -> list[Finding]:
    found = []
    if isinstance(settings.post_patch, str):
        package = settings.post_patch.partition(":")[0].partition(".")[0]
        if find_spec(package) is None:
            found.append(_setting(f"gworkers setting post_patch is {settings.post_patch!r}", f"there is no {package}",
                                  "Correct the name, or put its directory on the path: --pythonpath"))
    if settings.psycopg2 == "wait" and find_spec("psycopg2") is None:
        found.append(_setting("gworkers setting psycopg2 is 'wait'", "psycopg2 is not installed",
                              "pip install psycopg2-binary, or leave the setting alone"))
    return found


def gunicorns(cfg: Any, settings: Settings, hub: str) -> list[Finding]:
    """Return what is wrong in *cfg*, Gunicorn's own configuration."""
    return [*_unsupported(cfg), *_parser(cfg), *_certificate(cfg), *_preload(cfg, settings, hub)]


def _unsupported(cfg: Any) -> list[Finding]:
    found = []
    if "h2" in getattr(cfg, "http_protocols", ()):
        found.append(_setting("http_protocols has h2", "gworkers does not speak HTTP/2 yet",
                              "Use h1, and let the proxy in front speak HTTP/2"))
    if getattr(cfg, "http2_cleartext", "off") != "off":
        found.append(_setting(f"http2_cleartext is {cfg.http2_cleartext!r}", "gworkers does not speak HTTP/2 yet",
                              "Set it to 'off'"))
    if getattr(cfg, "protocol", "http") != "http":
        found.append(_setting(f"protocol is {cfg.protocol!r}", "gworkers speaks HTTP only",
                              "Use 'http', and proxy_pass instead of uwsgi_pass in nginx"))
    return found


def _parser(cfg: Any) -> list[Finding]:
    try:
        fast_parser(cfg)
    except SettingsError:
        return [_setting("http_parser is 'fast'", "gunicorn_h1c is not installed",
                         "pip install gunicorn_h1c, or set http_parser to 'auto'")]
    return []


def _certificate(cfg: Any) -> list[Finding]:
    if not cfg.is_ssl or cfg.settings["ssl_context"].get() is not NewSSLContext.default:
        return []
    try:
        ssl_context(cfg)
    except (OSError, ValueError) as error:
        used = [f"{name} {getattr(cfg, name)!r}" for name in ("certfile", "keyfile", "ca_certs", "ciphers")
                if getattr(cfg, name)]
        return [_setting(f"there can be no TLS with {', '.join(used)}", str(error),
                         "See that the files are PEM, the key is the certificate's, and OpenSSL knows the ciphers")]
    return []


def _preload(cfg: Any, settings: Settings, hub: str) -> list[Finding]:
    if not cfg.preload_app or not settings.patch or hubs.is_patched(hub):
        return []
    return [Finding(
        "preload-unpatched", "preload_app loads the application in the master, where nothing is patched",
        "whatever it imports may block the hub, and with it all other requests",
        f"Turn preload_app off, or begin gunicorn.conf.py with: {PATCH_MASTER[hub]}", fatal=True)]


def _setting(found: str, matters: str, mend: str) -> Finding:
    return Finding("setting", found, matters, mend, fatal=True)
