"""Gunicorn server hooks for a gunicorn.conf.py.

gworkers installs them automatically when Gunicorn starts with one of its worker classes. Set them in the
configuration of a server that starts with another worker class and changes to a gworkers class in a reload.
"""
from __future__ import annotations

from typing import Any

from gworkers.master.install import take_charge

__all__ = ["when_ready"]


def when_ready(arbiter: Any) -> None:
    """Gunicorn's ``when_ready``: make reloads and recycling of this master graceful.

    A second call has no effect. If you have a ``when_ready`` hook of your own, call this function in it::

        from gworkers import hooks

        def when_ready(server):
            hooks.when_ready(server)
            ...
    """
    take_charge(arbiter)
