"""The gunicorn.conf.py that is being made: settings, and notes on what needs a decision."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gworkers.convert.configuration import Condition, Option


@dataclass(frozen=True)
class Assignment:
    """One value of a setting.

    :param setting: its name
    :param expression: a Python expression
    :param comment: the reason for a value that is not obvious, for the end of the line
    :param condition: decides at start whether the value applies; ``None`` if it always does
    """

    setting: str
    expression: str
    comment: str = ""
    condition: Condition | None = None


@dataclass(frozen=True)
class Note:
    """Options that have no equivalent or need a decision.

    :param text: what to do
    :param options: that it is about, in the order of the file
    """

    text: str
    options: list[Option] = field(default_factory=list)


@dataclass
class Draft:
    """Settings of Gunicorn in ``settings``, and settings of gworkers in ``own``."""

    settings: list[Assignment] = field(default_factory=list)
    own: list[Assignment] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    #: names of options that need no setting, in the order of the file
    needless: list[str] = field(default_factory=list)
    #: the directory of the environment that contains Gunicorn
    environment: str | None = None

    def set(self, setting: str, expression: str, option: Option | None = None, comment: str = "") -> None:
        """Set one of Gunicorn's settings. A later value without a condition replaces the earlier ones."""
        self._add(self.settings, Assignment(setting, expression, comment, option.condition if option else None))

    def set_own(self, setting: str, expression: str, option: Option | None = None, comment: str = "") -> None:
        """Set one of gworkers' settings."""
        self._add(self.own, Assignment(setting, expression, comment, option.condition if option else None))

    @staticmethod
    def _add(assignments: list[Assignment], new: Assignment) -> None:
        if not new.condition:
            assignments[:] = [other for other in assignments if other.setting != new.setting]
        assignments.append(new)

    def append(self, setting: str, expression: str, option: Option) -> None:
        """Add an item to one of Gunicorn's settings that is a list."""
        new = Assignment(setting, expression, "", option.condition)
        if new not in self.settings:
            self.settings.append(new)

    def has(self, setting: str) -> bool:
        """Return whether a setting has a value."""
        return any(assignment.setting == setting for assignment in (*self.settings, *self.own))

    def note(self, option: Option, text: str) -> None:
        """Add a note to an option. The same text appears once, with all options that need it."""
        note = next((note for note in self.notes if note.text == text), None)
        if note is None:
            note = Note(text)
            self.notes.append(note)
        if option.name not in [other.name for other in note.options]:
            note.options.append(option)

    def needs_nothing(self, option: Option) -> None:
        """Record an option that needs no setting."""
        if option.name not in self.needless:
            self.needless.append(option.name)

    def of(self, setting: str) -> Iterator[Assignment]:
        """The values of one of Gunicorn's settings, those without a condition first."""
        found = [each for each in self.settings if each.setting == setting]
        yield from (each for each in found if not each.condition)
        yield from (each for each in found if each.condition)
