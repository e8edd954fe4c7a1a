"""How large a request head may be: Gunicorn's settings, and the bounds that Gunicorn puts on them."""
from __future__ import annotations

from typing import Any

#: Gunicorn's own bounds on the request line and on the number of fields.
MAX_LINE, MAX_FIELDS = 8190, 32768
#: The bound on a request line that ``limit_request_line`` does not limit, and on a PROXY line.
LONGEST_LINE = 1024 * 1024
#: The size of a field where the setting is 0, which an older Gunicorn takes for no limit.
DEFAULT_FIELD = 8190


class HeadLimits:
    """The limits on a request head. A line's size includes its CRLF except where noted.

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
