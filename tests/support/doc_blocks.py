"""The blocks of code in the documentation, and the marks of those that are not run.

A mark is a comment in the line before a block::

    <!-- not run: needs root -->
    <!-- run by: tests/functional/test_top.py -->
    <!-- slow -->

The first two leave the block to a person or to another test. The third one leaves it to --matrix=full. A page
may have a mark for all its blocks that have no other one::

    <!-- all run by: tests/functional/test_tutorial.py -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from support.paths import ROOT

#: Languages of commands for a shell.
SHELL = ("sh", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        place: the page and the line of the fence, for messages.
        language: the word after the fence; "console" too if the block has lines that begin with ``$``.
        text: the lines between the fences, without their common indentation.
        mark: the kind of the comment before the block, such as "not run"; empty if it has none.
        reason: the rest of that comment.
    """

    place: str
    language: str
    text: str
    mark: str = ""
    reason: str = ""

    @property
    def commands(self) -> str:
        """The text without the output of a console."""
        if self.language != "console":
            return self.text
        # A command goes on in further lines if a quote is open or its line ends with a backslash.
        commands: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
            elif commands and (commands[-1].count("'") % 2 or commands[-1].endswith("\\")):
                commands[-1] += "\n" + line
        return "\n".join(commands) + "\n"

    @property
    def is_configuration(self) -> bool:
        """Whether the block is a part of gunicorn.conf.py."""
        return self.language == "python" and bool(
            re.match(r"# gunicorn\.conf\.py\b|(.*\n)*worker_class\b", self.text))


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *(page for directory in ("docs", "examples")
                                          for page in sorted((ROOT / directory).rglob("*.md")))]


def blocks() -> list[Block]:
    return [block for page in pages() for block in blocks_of(page.read_text(), str(page.relative_to(ROOT)))]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    lines = text.splitlines()
    of_page = re.search(r"^<!-- all (run by): (\S+) -->$", text, re.MULTILINE)
    default = (of_page[1], of_page[2]) if of_page else ("", "")
    start, fence, language = 0, "", ""
    for number, line in enumerate(lines, 1):
        found = re.match(r" *(`{3,}|~{3,})(.*)", line)
        if found and not fence:
            start, fence, language = number, found[1], found[2].strip()
        elif found and found[1].startswith(fence) and not found[2]:
            body = dedent("\n".join(lines[start:number - 1]) + "\n")
            if not language and re.search(r"^\$ ", body, re.MULTILINE):
                language = "console"
            yield Block(f"{page}:{start}", language, body, *mark("\n".join(lines[:start - 1]), default))
            fence = ""


def mark(before: str, default: tuple[str, str]) -> tuple[str, str]:
    """The kind and the reason of the comment that ends *before*."""
    found = re.search(r"<!-- (not run|run by|slow)(?:: ([^>]*?))? -->\s*\Z", before)
    return (found[1], found[2] or "") if found else default
