"""What the newest Gunicorn refuses in a request head, for the releases that do not yet."""
from __future__ import annotations

from typing import Any

from gworkers.errors import Refusal


def check_incomplete(data: bytes, seen: int) -> None:
    """Refuse a bare LF in what came after the first *seen* bytes of an unfinished head (RFC 9112 section 2.2)."""
    start = seen - 1 if data[seen - 1:seen] == b"\r" else seen
    if data.count(b"\n", start) != data.count(b"\r\n", start):
        raise Refusal(400, "Bad Request", "bare LF as line terminator")


def check_complete(head: bytes, request: Any, cfg: Any) -> None:
    """Refuse what the newest release of Gunicorn refuses.

    :param head: the bytes of the head, its empty line included
    :param request: what Gunicorn's parser made of them
    :param cfg: the configuration that it was parsed with
    :raises Refusal: as the newest release would
    """
