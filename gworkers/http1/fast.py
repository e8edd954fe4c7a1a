"""The C parser, if it is there and wanted."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting


def fast_parser(cfg: Any) -> Callable[[bytes], Any] | None:
    """Return ``gunicorn_h1c.parse_request_fast`` as the setting ``http_parser`` wants it, or None.

    :raises SettingsError: if it is required and missing
    """
    # Gunicorn has the setting since release 25.
    wanted = getattr(cfg, "http_parser", "auto")
    if wanted == "python":
        return None
    try:
        from gunicorn_h1c import parse_request_fast
    except ImportError:
        if wanted == "fast":
            raise SettingsError(invalid_setting("http_parser is 'fast'", "gunicorn_h1c is not installed",
                                        "pip install gunicorn_h1c, or set http_parser to 'auto'")) from None
        return None
    return parse_request_fast  # type: ignore[no-any-return]
