"""Placeholders in the values of a configuration of uWSGI: `%n`, `%(name)`, `$(VARIABLE)` and `@(file)`."""
from __future__ import annotations

import os.path
import re
from collections.abc import Mapping

from gworkers.convert.source import SourceError, read
from gworkers.convert.value import Code, Part, Value, literal

PLACEHOLDER = re.compile(
    r"%\((?P<name>[^()]*)\)|\$\((?P<variable>[^()]*)\)|@\((?P<file>[^()]*)\)|%(?P<magic>[a-zA-Z0-9%])")
#: The most characters of all values, which placeholders can multiply.
MOST = 4 * 1024 * 1024
#: uWSGI computes with a variable and a number: %(workers + 1).
ARITHMETIC = re.compile(r"(?P<left>\S+) *(?P<operator>[-+*/]) *(?P<right>\S+)")
CPUS = Code("(os.cpu_count() or 1)", number=True, shown="%k")
HOST = Code("socket.gethostname()", shown="%h")
#: Computed when the server starts, because it may start on another machine or as another user.
AT_START: dict[str, Code] = {
    "k": CPUS, "h": HOST, "t": Code("int(time.time())", number=True, shown="%t"),
    "u": Code("os.getuid()", number=True, shown="%u"), "g": Code("os.getgid()", number=True, shown="%g")}


def environment(name: str) -> Code:
    """Return the code that reads an environment variable when the server starts."""
    return Code(f"os.environ[{literal(name)}]", shown=f"$({name})")


class Placeholders:
    """What placeholders stand for at one place of a configuration."""

    def __init__(self) -> None:
        #: The first value of each option so far. uWSGI's own options count too.
        self.variables: dict[str, Value] = {}
        #: Names that a value has used.
        self.used: set[str] = set()
        #: Placeholders of the value that stay, because the converter runs no commands and opens no addresses.
        self.unread: list[str] = []
        self._length = 0

    def define(self, name: str, value: Value) -> None:
        """Add a value of an option. The first one stays."""
        self.variables.setdefault(name, value)

    def expand(self, text: str, path: str, section: str, loop: Value | None) -> Value:
        """Return the value of *text*.

        :param path: the file that it stands in
        :param loop: the value of ``%(_)``, or ``None`` outside of a condition and of a loop
        :raises SourceError: if a file that it includes cannot be read
        """
        magic = _of_file(path, section)
        self.unread = []
        parts: list[Part] = []
        end = 0
        for found in PLACEHOLDER.finditer(text):
            parts.append(text[end:found.start()])
            end = found.end()
            replacement = self._replacement(found, magic, loop)
            self._length += sum(len(part if isinstance(part, str) else part.source) for part in replacement)
            if self._length > MOST:
                raise SourceError(f"The values in {path} have more than {MOST} characters with their placeholders.")
            parts += replacement
        return Value.of(*parts, text[end:])

    def _replacement(self, found: re.Match[str], magic: Mapping[str, str], loop: Value | None) -> tuple[Part, ...]:
        if found["variable"] is not None:
            return (environment(found["variable"]),) if found["variable"] else ("",)
        if found["file"] is not None:
            if "://" in found["file"]:
                # The output of a command, a web page or the like.
                self.unread.append(found[0])
                return (found[0],)
            return (read(found["file"]).rstrip("\n"),)
        if found["magic"] is not None:
            letter = found["magic"]
            return (magic.get(letter.lower(), AT_START.get(letter, found[0])),)
        name = found["name"].strip()
        if name == "_" and loop is not None:
            return loop.parts
        value = self._variable(name) or self._sum(name)
        return (found[0],) if value is None else value.parts

    def _variable(self, name: str) -> Value | None:
        if name == "%k":
            return Value.of(CPUS)
        self.used.add(name)
        return self.variables.get(name)

    def _sum(self, text: str) -> Value | None:
        found = ARITHMETIC.fullmatch(text)
        if found is None:
            return None
        left = self._number(found["left"])
        right = self._number(found["right"])
        if left is None or right is None:
            return None
        operator = {"/": "//"}.get(found["operator"], found["operator"])
        return Value.of(Code(f"({left} {operator} {right})", number=True))

    def _number(self, text: str) -> str | None:
        value = Value.of(text) if text.isdecimal() else self._variable(text)
        if value is None:
            return None
        try:
            return value.integer()
        except ValueError:
            return None


def _of_file(path: str, section: str) -> dict[str, str]:
    """The placeholders of one letter that depend on the file only, by their small letter."""
    whole = os.path.abspath(path)
    folder, name = os.path.split(whole)
    return {"%": "%", "o": path, "p": whole, "s": name, "d": os.path.join(folder, ""),
            "n": os.path.splitext(name)[0], "e": os.path.splitext(name)[1].lstrip("."), "c": os.path.basename(folder),
            "x": section, "v": os.getcwd(), **dict(enumerate_parts(folder))}


def enumerate_parts(folder: str) -> list[tuple[str, str]]:
    """The components of a path by their number, the first ten."""
    names = [name for name in folder.split(os.sep) if name]
    return [(str(number), name) for number, name in enumerate(names[:10])]

