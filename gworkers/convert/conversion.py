"""The conversion of a configuration of uWSGI, option by option."""
from __future__ import annotations

from gworkers.convert import addresses, application, logs, rules
from gworkers.convert.configuration import Configuration, Option
from gworkers.convert.draft import Draft, Note
from gworkers.convert.row import Row
from gworkers.convert.table import TABLE

#: The row of each option. A name that ends in * stands for all options that begin with the rest.
ROWS = {name: row for row in TABLE for name in row.names.split()}
PREFIXES = {name[:-1]: row for name, row in ROWS.items() if name.endswith("*")}

UNKNOWN = "This option is unknown. uWSGI takes an unknown name as a variable, unless strict is set."
UNDERSCORES = "uWSGI ignores this spelling of {}. It has been converted; remove the result if it is not intended."


def convert(configuration: Configuration) -> Draft:
    """Return what the options of a configuration become."""
    draft = Draft()
    for logic, text in configuration.undecided:
        draft.note(logic, text)
    options = addresses.with_protocol(configuration.options)
    for option in options:
        _option(option, draft, configuration.variables)
    rules.leave_time(draft)
    application.convert(options, draft)
    if not draft.has("bind"):
        draft.notes.insert(0, Note(addresses.NOWHERE))
    logs.finish(options, draft)
    order = {option.place: place for place, option in enumerate(options)}
    draft.notes.sort(key=lambda note: order.get(note.options[0].place, 0) if note.options else -1)
    return draft


def _option(option: Option, draft: Draft, variables: set[str]) -> None:
    row = find(option.name)
    if option.name in variables and option.name not in ROWS and "_" in option.name:
        # A variable of the file, which only looks like one of uWSGI's options.
        return
    if row is None:
        dashed = option.name.replace("_", "-")
        row = find(dashed) if dashed != option.name and option.name not in variables else None
        if row is None:
            if option.name not in variables:
                draft.note(option, UNKNOWN)
            return
        draft.note(option, UNDERSCORES.format(dashed))
        option = Option(dashed, option.value, option.place, option.condition)
    if row.switch and option.value.switch() == "False":
        return
    try:
        row.rule(option, draft)
    except ValueError as error:
        draft.note(option, f"The value is wrong: {error}. The option is left out.")
        return
    if row.advice:
        draft.note(option, row.advice)


def find(name: str) -> Row | None:
    """Return the row of an option, or ``None`` if the table has none."""
    row = ROWS.get(name)
    if row is not None:
        return row
    return next((row for prefix, row in PREFIXES.items() if name.startswith(prefix)), None)
