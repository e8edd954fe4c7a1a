"""A value in a configuration of uWSGI: text, in which parts may be known only when the server starts."""
from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Union

#: Values that turn a switch off. uWSGI takes every other value as on, also an empty one.
OFF = ("false", "off", "no", "0")
#: uWSGI takes a comment after a value as a part of it. A number or a switch is read without it.
COMMENT = re.compile(r"\s+[;#].*")


class ValueProblem(ValueError):
    """A value that an option of uWSGI cannot have."""


@dataclass(frozen=True)
class Code:
    """A part that gunicorn.conf.py computes.

    :param source: a Python expression. It must never contain text of the file, except as a literal.
    :param number: whether the expression is an ``int``
    :param shown: the placeholder, for messages
    """

    source: str
    number: bool = False
    shown: str = "(computed)"


Part = Union[str, Code]


def literal(text: str) -> str:
    """Return *text* as a Python literal. Nothing in it can end the literal."""
    plain = text.isprintable() and not set('"\\') & set(text)
    return f'"{text}"' if plain else repr(text)


@dataclass(frozen=True)
class Value:
    """The parts of a value in order, without empty ones."""

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, *parts: Part) -> Value:
        """Return a value in which neighbouring texts are one part."""
        joined: list[Part] = []
        for is_text, group in itertools.groupby(parts, key=lambda part: isinstance(part, str)):
            several = list(group)
            joined += ["".join(map(str, several))] if is_text else several
        return cls(tuple(part for part in joined if part != ""))

    @property
    def text(self) -> str | None:
        """The whole text, or ``None`` if a part is known only when the server starts."""
        if not self.parts:
            return ""
        only = self.parts[0]
        return only if len(self.parts) == 1 and isinstance(only, str) else None

    @property
    def shown(self) -> str:
        """The value for a message."""
        return "".join(part if isinstance(part, str) else part.shown for part in self.parts)

    def strip(self) -> Value:
        """Return the value without space at its ends."""
        parts = list(self.parts)
        if parts and isinstance(parts[0], str):
            parts[0] = parts[0].lstrip()
        if parts and isinstance(parts[-1], str):
            parts[-1] = parts[-1].rstrip()
        return Value.of(*parts)

    def without_comment(self) -> Value:
        """Return the value up to a comment that follows it on its line."""
        kept: list[Part] = []
        for part in self.parts:
            if isinstance(part, str) and (found := COMMENT.search(part)):
                kept.append(part[:found.start()])
                break
            kept.append(part)
        return Value.of(*kept).strip()

    def split(self, separator: str, limit: int = -1) -> list[Value]:
        """Return the values between separators, like :meth:`str.split`. Separators in computed parts do not count."""
        values: list[list[Part]] = [[]]
        for part in self.parts:
            if not isinstance(part, str):
                values[-1].append(part)
                continue
            left = -1 if limit < 0 else limit - len(values) + 1
            first, *others = part.split(separator, left) if left else [part]
            values[-1].append(first)
            values += [[other] for other in others]
        return [Value.of(*value) for value in values]

    def string(self) -> str:
        """Return a Python expression for the value as a ``str``."""
        if not self.parts:
            return '""'
        sources = [literal(part) if isinstance(part, str) else f"str({part.source})" if part.number else part.source
                   for part in self.parts]
        return " + ".join(sources)

    def integer(self) -> str:
        """Return a Python expression for the value as an ``int``.

        :raises ValueProblem: if it does not begin with a number
        """
        plain = self.without_comment()
        if plain.text is None:
            only = plain.parts[0] if len(plain.parts) == 1 else None
            return only.source if isinstance(only, Code) and only.number else f"int({plain.string()})"
        found = re.match(r"-?[0-9]{1,18}", plain.text)
        if found is None:
            raise ValueProblem(f"{plain.text!r} is not a number")
        return str(int(found[0]))

    def switch(self) -> str:
        """Return a Python expression for the value as a ``bool``."""
        plain = self.without_comment()
        if plain.text is None:
            return f"{plain.string()}.lower() not in {OFF!r}" if len(plain.parts) == 1 else "True"
        return str(plain.text.lower() not in OFF)
