"""The text of figures and of strings from requests, for a terminal."""
from __future__ import annotations

import re

#: Files of installed packages and of the standard library.
INSTALLED = re.compile(r"/(site|dist)-packages/|/lib/(python|pypy)")
#: Stands for an unknown figure.
UNKNOWN = "-"


def seconds(value: float | None) -> str:
    """Return a duration with about two significant digits."""
    if value is None:
        return UNKNOWN
    for limit, factor, form in ((0.0095, 1000, "{:.1f} ms"), (0.9995, 1000, "{:.0f} ms"), (99.95, 1, "{:.1f} s"),
                                (5400, 1 / 60, "{:.0f} min"), (172800, 1 / 3600, "{:.1f} h")):
        if 0 < value < limit:
            return form.format(value * factor)
    return f"{value / 86400:.0f} days" if value else "0 s"


def size(value: float | None) -> str:
    """Return a number of bytes in a binary unit."""
    if value is None:
        return UNKNOWN
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.1f} {units[0]}" if units[0] != "B" and value < 9.95 else f"{value:.0f} {units[0]}"


def number(value: float | None) -> str:
    """Return an integer with thousands separators."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def per_second(value: float | None) -> str:
    """Return a rate: with one decimal below 10."""
    return f"{value:.1f}" if value and value < 9.95 else number(value)


def printable(text: object) -> str:
    """Return *text* on one line. Characters that control a terminal or change the order of others are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text))


def frames(stack: str | None) -> list[str]:
    """Return the frames of a stack, which has one line for each, the outermost frame first."""
    return [printable(line.strip()) for line in (stack or "").splitlines()]


def notable_frame(stack: str | None) -> list[str]:
    """Return the innermost frame outside of installed packages and the standard library, or else the innermost one."""
    found = frames(stack)
    return [frame for frame in found if not INSTALLED.search(frame)][-1:] or found[-1:]
