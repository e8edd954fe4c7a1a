"""Gunicorn server hooks, for those who compose their gunicorn.conf.py themselves.

gworkers puts them into place when Gunicorn starts with one of its worker classes. They are needed by name where
that cannot be: in a server that starts with another worker class and changes to one of these in a reload.
"""
from __future__ import annotations

from typing import Any

from gworkers.master.generations import take_charge

__all__ = ["when_ready"]


def when_ready(arbiter: Any) -> None:
    """Gunicorn's ``when_ready``: make this master's reloads and recycling graceful. Twice is as good as once.

    A hook of your own calls it::

        from gworkers import hooks

        def when_ready(server):
            hooks.when_ready(server)
            ...
    """
    take_charge(arbiter)
