"""Text of applications and clients, made safe for a terminal."""
from __future__ import annotations


def printable(text: str) -> str:
    """Return *text* with everything but printable characters and line feeds escaped."""
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def one_line(text: str) -> str:
    """Return *text* with everything but printable characters escaped."""
    return printable(text).replace("\n", "\\n")
