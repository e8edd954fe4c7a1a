"""Versions of installed distributions."""
from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

Version = tuple[int, ...]


def installed_version(distribution: str) -> str | None:
    """Return the version of *distribution*; None if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def parse_version(release: str) -> Version:
    """Return the leading numbers of a version such as ``25.9.1`` or ``3.0.0rc1``."""
    numbers = []
    for part in release.split("."):
        digits = part[:len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def format_version(release: Version) -> str:
    """Return *release* as text: ``25.9.1`` for ``(25, 9, 1)``."""
    return ".".join(map(str, release))
