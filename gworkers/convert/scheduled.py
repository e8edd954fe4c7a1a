"""Commands that uWSGI runs at times, as functions of `gworkers.background`."""
from __future__ import annotations

import re

from gworkers.convert.configuration import Option
from gworkers.convert.draft import Draft
from gworkers.convert.value import ValueProblem, literal

#: The fields of a time in uWSGI's order, which is that of a cron expression.
FIELDS = ("minute", "hour", "day", "month", "week")


def cron(option: Option, draft: Draft) -> None:
    """A command with a time of five numbers before it: ``0 2 -1 -1 -1 command``."""
    *times, command = option.value.shown.split(None, 5) if len(option.value.shown.split(None, 5)) == 6 else ("",)
    if not times:
        raise ValueProblem("it has no five numbers with a command after them")
    _note(option, times, command, draft)


def cron2(option: Option, draft: Draft) -> None:
    """A command with a time of names before it: ``minute=0,hour=2 command``."""
    pairs, _, command = option.value.shown.partition(" ")
    given = dict(pair.partition("=")[::2] for pair in pairs.split(","))
    _note(option, [given.get(name, "-1") for name in FIELDS], command.strip(), draft)


def _note(option: Option, times: list[str], command: str, draft: Draft) -> None:
    expression = " ".join(_field(time) for time in times)
    draft.note(option, "Add to the application (from gworkers import background), or use the cron of the system:\n"
                       f"  @background.cron({literal(expression)})\n"
                       "  def job():\n"
                       f"      subprocess.run({literal(command)}, shell=True)")


def _field(time: str) -> str:
    """Return a field of a cron expression. uWSGI: -1 is always, and -5 is every fifth."""
    if not re.fullmatch(r"-?[0-9]{1,3}", time):
        raise ValueProblem(f"{time!r} is not a number")
    number = int(time)
    return "*" if number == -1 else f"*/{-number}" if number < 0 else str(number)
