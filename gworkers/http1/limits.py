"""The limits on the size of a request head: Gunicorn's settings within Gunicorn's bounds."""
from __future__ import annotations

from typing import Any

#: Gunicorn's own bounds on the request line and on the number of fields.
MAX_LINE, MAX_FIELDS = 8190, 32768
#: The bound on a request line if ``limit_request_line`` is 0, and on a PROXY line.
LONGEST_LINE = 1024 * 1024
#: The limit on a field if the setting is 0, which older releases of Gunicorn take as no limit.
DEFAULT_FIELD = 8190


class HeadLimits:
    """The limits on a request head, in bytes. Sizes of lines include their CRLF, except for the request line.

    :param cfg: Gunicorn's configuration
    """

    __slots__ = ("field", "fields", "line", "section")

    def __init__(self, cfg: Any) -> None:
        #: size of the request line, without its CRLF
        self.line: int = min(cfg.limit_request_line, MAX_LINE) or LONGEST_LINE
        #: number of field lines
        self.fields: int = min(cfg.limit_request_fields or MAX_FIELDS, MAX_FIELDS)
        #: size of a field line
        self.field: int = cfg.limit_request_field_size or DEFAULT_FIELD
        #: size of all field lines together
        self.section: int = self.fields * (self.field + 2) + 4
