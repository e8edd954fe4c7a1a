"""The files of the status page, and the header fields to send with them."""
from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
          ".js": "text/javascript; charset=utf-8"}


class PageFile(NamedTuple):
    """One file of the page."""

    content_type: str
    body: bytes


#: The page loads nothing from elsewhere, runs no inline script and cannot turn text into markup.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                               "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                               "require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def load_files() -> dict[str, PageFile]:
    """Return the files by the path of their URL. The page itself is ``/``.

    :raises OSError: the package is not installed as files
    """
    files = {}
    for path in (Path(__file__).parent / "page").iterdir():
        if path.suffix in _TYPES:
            url = "/" if path.name == "index.html" else f"/{path.name}"
            files[url] = PageFile(_TYPES[path.suffix], path.read_bytes())
    return files


FILES = load_files()
