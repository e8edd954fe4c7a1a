"""The text of the gunicorn.conf.py, and of the notes on it."""
from __future__ import annotations

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gworkers.convert.configuration import Condition
from gworkers.convert.draft import Assignment, Draft, Note
from gworkers.convert.value import literal
from gworkers.inspection.printable import one_line

WIDTH = 100
#: Settings in the order of the output. An empty line separates the groups.
GROUPS = (
    ("wsgi_app", "paste", "chdir", "pythonpath", "raw_env"),
    ("bind", "backlog", "umask", "reuse_port", "proxy_protocol"),
    ("certfile", "keyfile", "ciphers", "ca_certs", "cert_reqs"),
    ("user", "group", "pidfile", "proc_name", "daemon"),
    ("workers", "worker_class", "worker_connections", "max_requests", "max_requests_jitter", "timeout",
     "graceful_timeout", "keepalive", "reload"),
    ("limit_request_line", "limit_request_field_size", "sendfile"),
    ("accesslog", "access_log_format", "errorlog", "capture_output", "statsd_host", "statsd_prefix"),
)
#: Settings whose value is a list, and those that are one text with commas.
LISTS, COMMAS = ("bind", "raw_env"), ("pythonpath",)


class Statement(NamedTuple):
    """A line of gunicorn.conf.py.

    :param condition: decides at start whether the line applies; ``None`` if it always does
    """

    line: str
    condition: Condition | None = None


def config(draft: Draft, source: str) -> str:
    """Return the text of the gunicorn.conf.py for what *source* contained."""
    groups = ["\n".join(_blocks(line for name in group for line in _setting(name, draft))) for group in GROUPS]
    head = [f"# From {one_line(source)} by \"gworkers convert\".", "# Check: gworkers doctor -c gunicorn.conf.py",
            f"# Start: {one_line(_command(draft))} -c gunicorn.conf.py"]
    imports = [f"import {name}" for name in ("os", "socket", "ssl", "time") if re.search(rf"\b{name}\.", _code(draft))]
    blocks = ["\n".join(head), "\n".join(imports), "from gworkers import GeventWorker" if draft.own else "", *groups,
              *_remarks(draft)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def report(notes: Iterable[Note]) -> str:
    """Return the notes as text for a terminal."""
    return "\n".join(line for note in notes for line in _note(note, ""))


def _command(draft: Draft) -> str:
    return shlex.quote(f"{draft.environment.rstrip('/')}/bin/gunicorn") if draft.environment else "gunicorn"


def _code(draft: Draft) -> str:
    """All code without its literals, in which a module's name means nothing."""
    used = [*draft.settings, *draft.own]
    code = " ".join(f"{each.expression} {each.condition and each.condition.test}" for each in used)
    return re.sub(r"\"[^\"\\]*\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", '""', code)


def _blocks(statements: Iterable[Statement]) -> Iterator[str]:
    """The lines of statements. Those with the same condition share an ``if``, and the opposite follows as ``else``."""
    last = None
    for condition, group in itertools.groupby(statements, key=lambda statement: statement.condition):
        if condition is not None:
            yield "else:" if last is not None and last == condition.negated() else f"if {condition.test}:"
        last = None if last == condition else condition
        for statement in group:
            yield f"    {statement.line}" if condition else statement.line


def _setting(name: str, draft: Draft) -> Iterator[Statement]:
    """The statements that set one of Gunicorn's settings."""
    values = list(draft.of(name))
    if name == "worker_class":
        yield from _worker_class(draft.own)
    elif name in LISTS and values:
        yield from _list(name, values)
    elif name in COMMAS and values:
        joined = ' + "," + '.join(each.expression for each in values)
        yield Statement(_line(f"{name} = ", joined.replace('" + "," + "', ",")))
    else:
        for each in values:
            yield Statement(_line(f"{name} = ", _bare(each.expression), each.comment), each.condition)


def _list(name: str, values: list[Assignment]) -> Iterator[Statement]:
    fixed = [each.expression for each in values if not each.condition]
    if sum(map(len, fixed)) + len(name) > WIDTH - 10:
        yield Statement(f"{name} = [")
        yield from (Statement(f"    {item},") for item in fixed)
        yield Statement("]")
    else:
        yield Statement(f"{name} = [{', '.join(fixed)}]")
    for each in values:
        if each.condition:
            yield Statement(f"{name}.append({each.expression})", each.condition)


def _worker_class(own: list[Assignment]) -> Iterator[Statement]:
    fixed = [each for each in own if not each.condition]
    later = [each for each in own if each.condition]
    if not own:
        yield Statement('worker_class = "gworkers.GeventWorker"')
    elif later:
        if fixed:
            yield Statement("worker_settings = {")
            yield from _arguments(fixed, '    "{}": ')
            yield Statement("}")
        else:
            yield Statement("worker_settings = {}")
        for each in later:
            target = f"worker_settings[{literal(each.setting)}] = "
            yield Statement(_line(target, _bare(each.expression), each.comment), each.condition)
        yield Statement("worker_class = GeventWorker.configure(**worker_settings)")
    else:
        yield Statement("worker_class = GeventWorker.configure(")
        yield from _arguments(fixed, "    {}=")
        yield Statement(")")


def _arguments(own: list[Assignment], form: str) -> Iterator[Statement]:
    for each in own:
        yield Statement(_line(form.format(each.setting), f"{_bare(each.expression)},", each.comment))


def _line(target: str, expression: str, comment: str = "") -> str:
    return f"{target}{expression}" + (f"  # {one_line(comment)}" if comment else "")


def _bare(expression: str) -> str:
    """Return an expression without the parentheses around all of it."""
    if expression.startswith("(") and expression.endswith(")"):
        depth = 0
        for place, char in enumerate(expression):
            depth += (char == "(") - (char == ")")
            if depth == 0 and place < len(expression) - 1:
                return expression
        return expression[1:-1]
    return expression


def _remarks(draft: Draft) -> Iterator[str]:
    if draft.needless:
        yield _commented("Need nothing here: " + ", ".join(draft.needless) + ".")
    if draft.notes:
        yield "# These options need a decision:\n#\n" + "\n".join(
            line for note in draft.notes for line in _note(note, "# "))


def _note(note: Note, margin: str) -> Iterator[str]:
    """The options of a note as they stand in the file, and its text below them."""
    for option in note.options:
        yield margin + one_line(f"{option.place}: {option.name} = {option.value.shown}".rstrip(" ="))
    yield _wrapped(note.text, f"{margin}    " if note.options else margin)


def _commented(text: str) -> str:
    return _wrapped(text, "# ")


def _wrapped(text: str, indent: str) -> str:
    return "\n".join(textwrap.fill(one_line(line), WIDTH, initial_indent=indent, subsequent_indent=indent,
                                   break_long_words=False, break_on_hyphens=False) if not line.startswith(" ") else
                     f"{indent}{one_line(line)}" for line in text.split("\n"))
