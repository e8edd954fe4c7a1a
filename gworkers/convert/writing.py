"""The text of the gunicorn.conf.py, and of the notes on it."""
from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

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


def config(draft: Draft, source: str) -> str:
    """Return the text of the gunicorn.conf.py for what *source* contained."""
    groups = ["\n".join(line for name in group for line in _setting(name, draft)) for group in GROUPS]
    head = [f"# From {one_line(source)} by \"gworkers convert\".", "# Check: gworkers doctor -c gunicorn.conf.py",
            f"# Start: {one_line(_command(draft))} -c gunicorn.conf.py"]
    imports = [f"import {name}" for name in ("os", "socket", "ssl", "time") if re.search(rf"\b{name}\.", _code(draft))]
    blocks = ["\n".join([*head, *imports]), "from gworkers import GeventWorker" if draft.own else "", *groups,
              *_remarks(draft)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def report(notes: Iterable[Note]) -> str:
    """Return the notes as text for a terminal."""
    return "\n".join(f"{one_line(_origin(note))}\n{_wrapped(note.text, '    ')}" for note in notes)


def _command(draft: Draft) -> str:
    return f"{draft.environment.rstrip('/')}/bin/gunicorn" if draft.environment else "gunicorn"


def _code(draft: Draft) -> str:
    """All code without its literals, in which a module's name means nothing."""
    used = [*draft.settings, *draft.own]
    code = " ".join(f"{each.expression} {each.condition}" for each in used)
    return re.sub(r"\"[^\"\\]*\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", '""', code)


def _setting(name: str, draft: Draft) -> Iterator[str]:
    """The lines that set one of Gunicorn's settings."""
    if name == "worker_class":
        yield from _worker_class(draft.own)
        return
    values = list(draft.of(name))
    if name in LISTS:
        yield from _list(name, values)
    elif name in COMMAS:
        if values:
            yield _line(f"{name} = ", _joined([each.expression for each in values]), "")
    else:
        for each in values:
            yield from _if(each.condition, _line(f"{name} = ", _bare(each.expression), each.comment))


def _list(name: str, values: list[Assignment]) -> Iterator[str]:
    fixed = [each.expression for each in values if not each.condition]
    if not values:
        return
    if sum(map(len, fixed)) + len(name) > WIDTH - 10:
        yield f"{name} = ["
        yield from (f"    {item}," for item in fixed)
        yield "]"
    else:
        yield f"{name} = [{', '.join(fixed)}]"
    for each in values:
        if each.condition:
            yield from _if(each.condition, f"{name}.append({each.expression})")


def _joined(expressions: list[str]) -> str:
    return ' + "," + '.join(expressions)


def _worker_class(own: list[Assignment]) -> Iterator[str]:
    fixed = [each for each in own if not each.condition]
    later = [each for each in own if each.condition]
    if not own:
        yield 'worker_class = "gworkers.GeventWorker"'
    elif later:
        yield "worker_settings = {"
        yield from _arguments(fixed, '    "{}": ')
        yield "}"
        for each in later:
            name = f"worker_settings[{literal(each.setting)}]"
            yield from _if(each.condition, _line(f"{name} = ", _bare(each.expression), each.comment))
        yield "worker_class = GeventWorker.configure(**worker_settings)"
    else:
        yield "worker_class = GeventWorker.configure("
        yield from _arguments(fixed, "    {}=")
        yield ")"


def _arguments(own: list[Assignment], form: str) -> Iterator[str]:
    for each in own:
        yield _line(form.format(each.setting), f"{_bare(each.expression)},", each.comment)


def _if(condition: str, line: str) -> Iterator[str]:
    if condition:
        yield f"if {condition}:"
        yield f"    {line}"
    else:
        yield line


def _line(target: str, expression: str, comment: str) -> str:
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
            f"# {one_line(_origin(note))}\n{_wrapped(note.text, '#     ')}" for note in draft.notes)


def _origin(note: Note) -> str:
    return f"{note.place}: {note.option}" if note.place else note.option


def _commented(text: str) -> str:
    return _wrapped(text, "# ")


def _wrapped(text: str, indent: str) -> str:
    return "\n".join(textwrap.fill(one_line(line), WIDTH, initial_indent=indent, subsequent_indent=indent,
                                   break_long_words=False, break_on_hyphens=False) if not line.startswith(" ") else
                     f"{indent}{one_line(line)}" for line in text.split("\n"))
