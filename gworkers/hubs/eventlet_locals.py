"""The values of ``threading.local`` on eventlet. They are released when their greenlet ends."""
from __future__ import annotations

import weakref
from typing import Any

from greenlet import getcurrent, greenlet


class LocalValues(dict[str, Any]):
    """The values of one greenlet in a ``threading.local`` of eventlet."""

    #: calls :meth:`clear` at the end of the greenlet
    reference: weakref.ref[greenlet]


def use_values_of_current_greenlet(local: Any) -> None:
    """Do the same as ``eventlet.corolocal._patch``, and release the values when their greenlet ends.

    The original leaves the values of the greenlet that has used *local* last in it until another greenlet uses it.
    """
    all_values = object.__getattribute__(local, "_local__greens")
    current = getcurrent()
    values = all_values.get(current)
    if values is None:
        values = all_values[current] = LocalValues()
        weak_values = weakref.ref(values)

        def clear(reference: object) -> None:
            ended = weak_values()
            if ended is not None:
                ended.clear()

        values.reference = weakref.ref(current, clear)
        if type(local).__init__ is not object.__init__:
            args, kwargs = object.__getattribute__(local, "_local__args")
            local.__init__(*args, **kwargs)
    object.__setattr__(local, "__dict__", values)
