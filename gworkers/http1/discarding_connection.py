"""A connection that discards a response, for an application that writes to a client who has left."""
from __future__ import annotations


class DiscardingConnection:
    """See :class:`gworkers.http1.client_connection.ResponseConnection`."""

    offer = None
    descriptor_taken = False
    last_request = True
    broken = False
    awaited = False
    can_send_files = False

    def break_off(self) -> None:
        """Do nothing."""

    def yield_if_due(self) -> None:
        """Do nothing."""

    def send(self, data: bytes) -> None:
        """Discard *data*."""

    def send_parts(self, parts: list[bytes]) -> None:
        """Discard *parts*."""

    def send_last(self, data: bytes) -> None:
        """Discard *data*."""

    def send_file(self, head: bytes, fd: int, offset: int, count: int) -> int | None:
        """Discard *head* and the file."""
        return count


#: It has no state, so all responses can share it.
DISCARD = DiscardingConnection()
