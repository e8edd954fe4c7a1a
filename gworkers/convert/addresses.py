"""Addresses that uWSGI listens on, as Gunicorn's `bind` and TLS settings."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gworkers.convert.configuration import Option
from gworkers.convert.draft import Draft
from gworkers.convert.value import Value, ValueProblem

#: Addresses that only this machine reaches.
LOCAL = re.compile(r"unix:|fd://|127\.|localhost:|\[::1\]")
#: Options with an address for the uwsgi protocol, and those with an address for HTTP.
UWSGI = ("socket", "uwsgi-socket")
HTTP = ("http", "http-socket", "http11-socket", "httprouter", "https", "https-socket", "https2", "shared-socket")
TO_HTTP = (
    "gworkers serves HTTP here, not the uwsgi protocol. In nginx replace uwsgi_pass by proxy_pass, and "
    "\"include uwsgi_params\" by proxy_set_header lines for Host, X-Forwarded-For and X-Forwarded-Proto. If the proxy "
    "is on another machine, set forwarded_allow_ips. docs/migrate/uwsgi.md shows the block."
)


FORWARDED = (
    "uWSGI takes wsgi.url_scheme from X-Forwarded-Proto of each client. Gunicorn does so for the addresses in "
    "forwarded_allow_ips and for Unix sockets only. If a proxy on another machine or in another container sends it, "
    "set forwarded_allow_ips to the address of the proxy.")
NOWHERE = "No option gives an address. Gunicorn listens on 127.0.0.1:8000, unless bind names others."
ALL_OR_NONE = (
    "Gunicorn uses TLS on all addresses or on none. If others have to serve plain HTTP, start a second server, "
    "or let a proxy terminate TLS.")
REDIRECT = "Redirect HTTP to HTTPS in the proxy, or in the application (Django: SECURE_SSL_REDIRECT)."


def with_protocol(options: Sequence[Option]) -> list[Option]:
    """Return the options, with the name ``http-socket`` for sockets that ``protocol = http`` refers to."""
    protocols = [option.value.text for option in options if option.name in ("protocol", "socket-protocol")]
    if protocols[-1:] not in (["http"], ["http11"], ["https"]):
        return list(options)
    return [replace(option, name="http-socket") if option.name == "socket" else option for option in options]


def address(value: Value) -> Value:
    """Return an address of uWSGI as an address of Gunicorn."""
    value = value.without_comment()
    first = value.parts[0] if value.parts else ""
    if not value.parts:
        raise ValueProblem("the address is empty")
    if value.text is not None and value.text.startswith(("unix:", "fd://")):
        return value
    if isinstance(first, str) and first.startswith(("/", "@", "./")):
        return Value.of("unix:", *value.parts)
    if isinstance(first, str) and first.startswith(":"):
        # uWSGI listens on all addresses of IPv4.
        return Value.of("0.0.0.0", *value.parts)
    if any(isinstance(part, str) and ":" in part for part in value.parts) or value.text is None:
        return value
    return Value.of("unix:", *value.parts)


def http(option: Option, draft: Draft) -> None:
    """An address that serves HTTP."""
    if _bind(option, draft) and not LOCAL.match(address(option.value).shown):
        draft.note(option, FORWARDED)


def uwsgi(option: Option, draft: Draft) -> None:
    """An address that served the uwsgi protocol. It serves HTTP."""
    _bind(option, draft)
    draft.note(option, TO_HTTP)


def has_only_uwsgi(options: Sequence[Option]) -> bool:
    """Return whether all addresses are those of the uwsgi protocol, so that all requests come from a proxy."""
    names = {option.name for option in options}
    return not names.isdisjoint(UWSGI) and names.isdisjoint(HTTP)


def _bind(option: Option, draft: Draft) -> bool:
    """Add the address of an option. Return whether it has one: =0 refers to a shared socket with its own option."""
    first = option.value.parts[0] if option.value.parts else ""
    if isinstance(first, str) and first.startswith("="):
        return False
    draft.append("bind", address(option.value).string(), option)
    return True


def https(option: Option, draft: Draft) -> None:
    """An address with a certificate, a key, and perhaps ciphers and the authority of clients."""
    where, *rest = option.value.split(",")
    draft.append("bind", address(where).string(), option)
    for setting, value in zip(("certfile", "keyfile", "ciphers", "ca_certs"), rest):
        plain = value.strip()
        if not plain.parts:
            continue
        first = plain.parts[0]
        if setting == "ca_certs":
            # uWSGI: a ! before the path makes the certificate compulsory.
            required = isinstance(first, str) and first.startswith("!")
            plain = Value.of(first[1:] if isinstance(first, str) and required else first, *plain.parts[1:])
            draft.set("cert_reqs", "ssl.CERT_REQUIRED" if required else "ssl.CERT_OPTIONAL", option)
        draft.set(setting, plain.string(), option)
    draft.note(option, ALL_OR_NONE)


def https2(option: Option, draft: Draft) -> None:
    """An address with TLS as key=value pairs."""
    names = {"addr": 0, "cert": 1, "key": 2, "ciphers": 3, "ca": 4, "client_ca": 4}
    fields = [Value(), Value(), Value(), Value(), Value()]
    for pair in option.value.split(","):
        key, *value = pair.split("=", 1)
        if value and (place := names.get(key.shown.strip())) is not None:
            fields[place] = value[0]
    whole = Value.of(*[part for value in fields for part in (*value.parts, ",")])
    https(Option(option.name, whole, option.place, option.condition), draft)


def redirect(option: Option, draft: Draft) -> None:
    """An address that redirects to TLS."""
    draft.note(option, REDIRECT)


def mode(option: Option, draft: Draft) -> None:
    """The file mode of a Unix socket. In Gunicorn it follows from the umask."""
    digits = option.value.without_comment()
    if digits.text is None:
        draft.note(option, "The mode depends on the environment. Set umask: 0o777 minus the mode.")
        return
    if any(char not in "01234567" for char in digits.text) or len(digits.text) > 4:
        raise ValueProblem(f"{digits.text!r} is not a file mode")
    wanted = int(digits.text or "666", 8) & 0o777
    draft.set("umask", f"0o{0o777 & ~wanted:03o}", option, f"chmod-socket {wanted:03o}: 777 without these bits")
