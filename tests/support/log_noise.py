"""What a log has to say of the handler that TEST_LOG_HANDLER has installed, and of nothing else."""

from __future__ import annotations

import re

#: The last line of a traceback.
END = re.compile(r"(\w+\.)*LogHandlerError: ")
LOST = re.compile(r"Log records were lost: .* LogHandlerError")
#: What is between two tracebacks that are one.
LINK = re.compile(r"During handling of the above exception|The above exception was the direct cause")


def without(lines: list[str]) -> list[str]:
    """The lines that would be there without that handler."""
    kept: list[str] = []
    position = 0
    while position < len(lines):
        end = _end(lines, position) if lines[position].endswith("Traceback (most recent call last):") else position
        if end == position or not END.match(lines[end]):
            kept += [line for line in lines[position:end + 1] if not LOST.search(line)]
        position = end + 1
    return kept


def _end(lines: list[str], start: int) -> int:
    """The index of the last line of the traceback, or chain of them, that starts there; *start* if it is cut off."""
    end = start
    while True:
        position = end + 1
        while position < len(lines) and lines[position].startswith((" ", "Traceback")):
            position += 1
        if position >= len(lines):
            return end
        end = position
        if not (lines[end + 1:end + 2] == [""] and LINK.match("".join(lines[end + 2:end + 3]))):
            return end
        # A blank line, the link and another blank line.
        end += 3
