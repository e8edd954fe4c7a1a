"""Header fields and their keys in an environ."""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


def environ_key(name: str) -> str:
    """Return the key of the header field *name* in an environ (PEP 3333, RFC 3875 section 4.1.18).

    Some settings of Gunicorn accept ``Content_Length``, which is not the same field as ``Content-Length``.
    """
    name = name.upper()
    if name in ("CONTENT-TYPE", "CONTENT-LENGTH"):
        return name.replace("-", "_")
    return "HTTP_" + name.replace("-", "_")


def header_name(key: str) -> str:
    """Return the header field, in upper case and without an underscore, whose key in an environ is *key*."""
    return key.removeprefix("HTTP_").replace("_", "-")


def environ_fields(headers: Sequence[tuple[str, str]]) -> tuple[dict[str, str], str | None]:
    """Return *headers*, which Gunicorn's parser has accepted, as items of an environ, and their ``SCRIPT_NAME``.

    Values of a repeated field are joined with a comma (RFC 9110 section 5.3). Gunicorn accepts a field
    with the literal name ``SCRIPT_NAME`` from trusted proxies only; ``Script-Name`` is another field.
    """
    values: dict[str, list[str]] = {}
    script_name = None
    for name, value in headers:
        if name == "SCRIPT_NAME":
            script_name = value
        values.setdefault(environ_key(name), []).append(value)
    return {key: ",".join(several) for key, several in values.items()}, script_name


@lru_cache(maxsize=64)
def keeps_alive(connection: str, version: tuple[int, int]) -> bool:
    """Return whether a *connection* field leaves the connection open after a request (RFC 9112 section 9.3)."""
    options = [option.strip(" \t") for option in connection.lower().split(",")]
    return "close" not in options and (version >= (1, 1) or "keep-alive" in options)
