"""The options of a configuration of uWSGI, after its includes, conditions, loops and placeholders."""
from __future__ import annotations

import glob
import os.path
from dataclasses import dataclass, field
from typing import NamedTuple

from gworkers.convert.formats import DEFAULT_SECTION, Line, lines
from gworkers.convert.placeholders import HOST, Placeholders, environment
from gworkers.convert.source import SourceError, read
from gworkers.convert.value import Value, literal

#: An include may have includes of its own, to this depth.
DEEPEST = 20
#: The most includes, each counted as often as it is reached.
MOST_FILES = 500
#: The most options of a whole configuration, which loops and includes can multiply.
MOST = 10_000

#: What to do if an included file cannot be read.
INCLUDED = ("{} includes it. As in uWSGI, a relative path belongs to the current directory. Run the command in the "
            "directory in which uWSGI is started; for a vassal this is the directory of the vassals.")
INCLUDES = frozenset(("ini", "include", "inherit", "config", "yaml", "yml", "json", "js", "xml"))
ENDS = frozenset(("endif", "end-if", "endfor", "end-for"))
LOOPS = frozenset(("for", "for-glob", "for-times", "for-readline"))
#: Set at the end of a condition's name, by its beginning.
TESTS = {"env": "env", "opt": "opt", "hostname": "hostname", "exists": "exists", "file": "file", "dir": "dir",
         "directory": "dir", "reload": "reload"}


class Condition(NamedTuple):
    """A test that gunicorn.conf.py makes, as a Python expression, and its opposite."""

    test: str
    opposite: str

    def negated(self) -> Condition:
        """Return the opposite condition."""
        return Condition(self.opposite, self.test)


@dataclass(frozen=True)
class Option:
    """An option with its value.

    :param place: the file and the line, for messages
    :param condition: decides at start whether the option applies; ``None`` if it always does
    """

    name: str
    value: Value
    place: str
    condition: Condition | None = None


@dataclass
class Configuration:
    """What the converter reads.

    :param undecided: the logic that cannot be converted, with a text for each
    :param variables: the names that placeholders have used
    """

    options: list[Option] = field(default_factory=list)
    undecided: list[tuple[Option, str]] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)


@dataclass
class _Block:
    """The condition or loop around an option. uWSGI does not nest them."""

    applies: bool = True
    condition: Condition | None = None
    #: what ``%(_)`` stands for, once for each turn of a loop
    turns: tuple[Value | None, ...] = (None,)


def load(name: str) -> Configuration:
    """Return the configuration in the file *name*, which may end in ``:section``.

    :raises SourceError: if it or a file that it includes cannot be read
    """
    loader = _Loader()
    loader.file(name, ".", ())
    loader.configuration.variables = loader.placeholders.used
    return loader.configuration


class _Loader:
    def __init__(self) -> None:
        self.configuration = Configuration()
        self.placeholders = Placeholders()
        #: the text of each file, because stdin can be read only once
        self.texts: dict[str, str] = {}
        self.included = 0

    def file(self, name: str, current: str, around: tuple[tuple[str, str], ...]) -> None:
        """Add the options of a file.

        :param current: the file that includes it
        :param around: the files and sections that are being read
        """
        path, section = _path_and_section(name, current)
        if (path, section) in around:
            raise SourceError(f"{path} [{section}] includes itself. Remove one of the includes and run this again.")
        if len(around) > DEEPEST:
            raise SourceError(f"{path} is included at a depth of more than {DEEPEST} files.")
        self.included += 1
        if self.included > MOST_FILES:
            raise SourceError(f"{path} includes more than {MOST_FILES} files.")
        if path not in self.texts:
            self.texts[path] = read(path, INCLUDED.format(current)) if around else read(path)
        block = _Block()
        for line in lines(self.texts[path], path, section):
            where = f"{path}:{line.number}"
            block = self._line(line, where, block, path, section, (*around, (path, section)))

    def _line(self, line: Line, where: str, block: _Block, path: str, section: str,
              around: tuple[tuple[str, str], ...]) -> _Block:
        """Add the options of one line. Return the block of the next line."""
        if line.key in ENDS:
            return _Block()
        if line.key in LOOPS or line.key.startswith("if"):
            opened = self._open(line, where, self.placeholders.expand(line.value, path, section, None))
            if opened is not None:
                return opened
        if block.applies:
            for turn in block.turns:
                value = self.placeholders.expand(line.value, path, section, turn)
                for text in self.placeholders.unread:
                    self._undecided(where, line.key, Value.of(text), "Replace this placeholder by its value.")
                self._option(line.key, value, where, block.condition, path, around)
        return block

    def _option(self, name: str, value: Value, where: str, condition: Condition | None, path: str,
                around: tuple[tuple[str, str], ...]) -> None:
        if len(self.configuration.options) >= MOST:
            raise SourceError(f"{path} has more than {MOST} options with its includes and loops.")
        if name in ("set-placeholder", "set-ph", "set"):
            key, _, rest = value.shown.partition("=")
            parts = value.split("=", 1)
            self.placeholders.define(key.strip(), parts[1].strip() if rest else Value())
            if name == "set":
                self._option(key.strip(), parts[1].strip() if rest else Value(), where, condition, path, around)
            else:
                self.configuration.variables.add(key.strip())
            return
        self.placeholders.define(name, value)
        if name not in INCLUDES:
            self.configuration.options.append(Option(name, value, where, condition))
        elif value.text is None or condition:
            self._undecided(where, name, value, "The included file depends on the environment. Convert it separately.")
        else:
            self.file(value.text, path, around)

    def _open(self, line: Line, where: str, value: Value) -> _Block | None:
        """Return the block that a line begins, or ``None`` if the line is an ordinary option."""
        if line.key in LOOPS:
            return self._loop(line, where, value)
        negated = line.key.startswith("if-not-")
        test = TESTS.get(line.key[2:].lstrip("-") if not negated else line.key[7:])
        if test is None:
            self._undecided(where, line.key, value, "The options in this block are converted as if it applied.")
            return _Block(turns=(value,))
        if test == "reload":
            return _Block(applies=negated)
        if test == "opt":
            return _Block(applies=self._has(value) != negated, turns=(value,))
        condition, turn = _condition(test, value)
        return _Block(condition=condition.negated()) if negated else _Block(condition=condition, turns=(turn,))

    def _undecided(self, where: str, name: str, value: Value, text: str) -> None:
        self.configuration.undecided.append((Option(name, value, where), text))

    def _has(self, value: Value) -> bool:
        """Return whether an option is set so far, to a certain value if there is one."""
        name, *wanted = value.split("=", 1)
        variable = self.placeholders.variables.get(name.shown.strip())
        return variable is not None and (not wanted or variable == wanted[0])

    def _loop(self, line: Line, where: str, value: Value) -> _Block:
        text = value.text
        if text is None or line.key == "for-readline":
            self._undecided(where, line.key, value, "The loop depends on the environment or on a file. Its options are "
                            "left out.")
            return _Block(applies=False)
        if line.key == "for-glob":
            items = sorted(glob.glob(text))
        elif line.key == "for-times":
            times = int(text) if text.isdecimal() and len(text) < 6 else 0
            items = [str(number) for number in range(1, min(times, MOST) + 1)]
        else:
            items = text.split()
        return _Block(turns=tuple(Value.of(item) for item in items))


def _path_and_section(name: str, current: str) -> tuple[str, str]:
    """Return the path of a file that another one names, and the section in it."""
    path, colon, section = name.rpartition(":")
    if not colon or os.path.exists(name):
        path, section = name, DEFAULT_SECTION
    return path or current, section or DEFAULT_SECTION


def _condition(test: str, value: Value) -> tuple[Condition, Value]:
    """Return a condition, and the value of ``%(_)`` where it is true."""
    if test == "env":
        name, *wanted = value.split("=", 1)
        variable = literal(name.shown)
        if wanted:
            left, right = f"os.environ.get({variable})", wanted[0].string()
            return Condition(f"{left} == {right}", f"{left} != {right}"), wanted[0]
        condition = Condition(f"{variable} in os.environ", f"{variable} not in os.environ")
        return condition, Value.of(environment(name.shown))
    if test == "hostname":
        return Condition(f"{HOST.source} == {value.string()}", f"{HOST.source} != {value.string()}"), value
    function = {"exists": "os.path.exists", "file": "os.path.isfile", "dir": "os.path.isdir"}[test]
    call = f"{function}({value.string()})"
    return Condition(call, f"not {call}"), value
