"""Commands that uWSGI runs at times, as functions of `gworkers.background`."""
from __future__ import annotations

import re

from gworkers.convert.configuration import Option
from gworkers.convert.draft import Draft
from gworkers.convert.value import Code, Value, ValueProblem, literal

#: The fields of a time in uWSGI's order, which is that of a cron expression.
FIELDS = ("minute", "hour", "day", "month", "week")
DECORATOR = "@background.cron"
#: Modules that the code of a placeholder may need.
MODULES = ("os", "socket", "time")


def cron(option: Option, draft: Draft) -> None:
    """A command with a time of five numbers before it: ``0 2 -1 -1 -1 command``."""
    first, *rest = option.value.parts or ("",)
    times = first.split(None, 5) if isinstance(first, str) else []
    # The command may begin with a placeholder.
    command = Value.of(times.pop() if len(times) == 6 else "", *rest)
    if len(times) != 5 or not command.parts:
        raise ValueProblem("it has no five numbers with a command after them")
    _note(option, times, command, draft)


def cron2(option: Option, draft: Draft) -> None:
    """A command with a time of names before it: ``minute=0,hour=2 command``."""
    pairs, *command = option.value.split(" ", 1)
    given = dict(pair.partition("=")[::2] for pair in pairs.shown.split(","))
    _note(option, [given.get(name, "-1") for name in FIELDS], command[0] if command else Value(), draft)


def _note(option: Option, times: list[str], command: Value, draft: Draft) -> None:
    expression = " ".join(_field(time) for time in times)
    computed = [part.source for part in command.parts if isinstance(part, Code)]
    modules = [name for name in MODULES if any(f"{name}." in source for source in computed)] + ["subprocess"]
    # The name of a function identifies it in the server.
    earlier = sum(DECORATOR in note.text for note in draft.notes)
    draft.note(option, f"Add to the application (import {', '.join(modules)}; from gworkers import background; pip "
                       "install 'gworkers[background]'), or use the cron of the system:\n"
                       f"  {DECORATOR}({literal(expression)})\n"
                       f"  def job_{earlier + 1}():\n"
                       f"      subprocess.run({command.strip().string()}, shell=True)")


def _field(time: str) -> str:
    """Return a field of a cron expression. uWSGI: -1 is always, and -5 is every fifth."""
    if not re.fullmatch(r"-?[0-9]{1,3}", time):
        raise ValueProblem(f"{time!r} is not a number")
    number = int(time)
    return "*" if number == -1 else f"*/{-number}" if number < 0 else str(number)
