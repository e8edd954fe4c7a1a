"""The application that uWSGI loads, as Gunicorn's `wsgi_app`."""
from __future__ import annotations

import os.path
import re
from collections.abc import Sequence

from gworkers.convert.configuration import Condition, Option
from gworkers.convert.draft import Draft, Note
from gworkers.convert.value import Part, Value

MODULE = ("module", "wsgi")
FILE = ("wsgi-file", "file")
PATH = ("pythonpath", "python-path", "pp")
#: Options with which a configuration starts other servers and needs no application.
OTHER_SERVERS = ("emperor", "fastrouter", "http-to")
#: A path of folders and a file that Python can import.
IMPORTABLE = re.compile(r"[^\W\d]\w*(/[^\W\d]\w*)*")

SEVERAL = (
    "Gunicorn serves one application. Combine them in a module with DispatcherMiddleware of werkzeug and name that "
    "module in wsgi_app, or start one server for each and let the proxy select.")
NAME = "No option names the application. Set wsgi_app = \"package.module:callable\", or give it on the command line."
PREFIX = (
    "SCRIPT_NAME serves the application below this path. Requests for other paths get 500, so the proxy must "
    "pass this path only.")


def convert(options: Sequence[Option], draft: Draft) -> None:
    """Set ``wsgi_app`` from ``module``, ``wsgi-file``, ``callable`` and ``mount``, for each condition separately."""
    for condition in dict.fromkeys(option.condition for option in options):
        _Application(options, condition).convert(draft)
    if not draft.has("wsgi_app") and not draft.has("paste") and not _named(options, OTHER_SERVERS):
        draft.notes.insert(0, Note(NAME))


def _named(options: Sequence[Option], names: tuple[str, ...]) -> list[Option]:
    return [option for option in options if option.name in names]


class _Application:
    """The options of one condition. Those that always apply complete them."""

    def __init__(self, options: Sequence[Option], condition: Condition | None) -> None:
        self.options = [option for option in options if option.condition == condition]
        always = [option for option in options if option.condition in (None, condition)]
        called = _named(always, ("callable",))
        self.callable = called[-1].value if called else Value.of("application")
        directories = _named(always, ("chdir",))
        self.directory = directories[-1].value if directories else None
        #: directories of the import path, the working directory last
        self.path = [option.value for option in _named(always, PATH)] + [each.value for each in directories[-1:]]

    def convert(self, draft: Draft) -> None:
        # uWSGI loads the module if both are set.
        sources = _named(self.options, MODULE) or _named(self.options, FILE)
        mounts = _named(self.options, ("mount",))
        if sources:
            self._set(sources[-1], sources[-1].value, draft)
        elif len(mounts) == 1:
            self._mount(mounts[0], draft)
            return
        for mount in mounts:
            draft.note(mount, SEVERAL)

    def _mount(self, option: Option, draft: Draft) -> None:
        path, *source = option.value.split("=", 1)
        self._set(option, source[0] if source else Value(), draft)
        if path.text is None or path.text.strip("/"):
            # Gunicorn compares it with the start of the path, so it must not end in a slash.
            prefix = path if path.text is None else Value.of("/" + path.text.strip("/"))
            draft.append("raw_env", Value.of("SCRIPT_NAME=", *prefix.parts).string(), option)
            draft.note(option, PREFIX)

    def _set(self, option: Option, source: Value, draft: Draft) -> None:
        """Set ``wsgi_app`` to a module or a file, with its callable."""
        source = source.strip()
        file, *called = source.split(":", 1)
        target = called[0] if called and called[0].parts else self.callable
        last = file.parts[-1] if file.parts else ""
        names = file.text.split(".") if file.text is not None else []
        if isinstance(last, str) and (last.endswith(".py") or "/" in last):
            names = [re.sub(r".*/|\.py$", "", last)]
            folder, file = self._module(file)
            if folder.parts:
                draft.append("pythonpath", folder.string(), option)
        draft.set("wsgi_app", Value.of(*file.parts, ":", *target.parts).string(), option)
        if not all(map(str.isidentifier, names)):
            name = ".".join(names)
            draft.note(option, f"{name!r} is not the name of a module. Rename the file and correct wsgi_app.")

    def _module(self, file: Value) -> tuple[Value, Value]:
        """Return what has to be added to the import path for a file, and the name of its module."""
        path = _normal(file)
        whole = path
        if self.directory is not None and path.text is not None and not os.path.isabs(path.text):
            whole = _normal(Value.of(*self.directory.parts, "/", *path.parts))
        for inner in (*(_below(whole, _normal(directory)) for directory in self.path), path):
            if inner is not None and inner.text is not None and IMPORTABLE.fullmatch(inner.text):
                return Value(), Value.of(inner.text.replace("/", "."))
        *folders, base = whole.split("/")
        return Value.of(*_joined(folders)), base


def _normal(path: Value) -> Value:
    """Return a path without ``.py``, and without ``.`` and a slash at its ends."""
    if path.text:
        path = Value.of(os.path.normpath(path.text))
    *before, last = path.parts or ("",)
    return Value.of(*before, re.sub(r"\.py$|/$", "", last) if isinstance(last, str) else last)


def _below(path: Value, directory: Value) -> Value | None:
    """Return the path relative to the directory, or ``None`` if it is elsewhere."""
    start = Value.of(*directory.parts, "/").parts
    rest = path.parts[len(start):]
    last = start[-1]
    if path.parts[:len(start) - 1] != start[:-1] or not isinstance(last, str):
        return None
    text = path.parts[len(start) - 1]
    if not isinstance(text, str) or not text.startswith(last):
        return None
    return Value.of(text[len(last):], *rest)


def _joined(folders: list[Value]) -> list[Part]:
    """Return the parts of folders with slashes between them."""
    parts: list[Part] = []
    for number, folder in enumerate(folders):
        parts += ["/"] if number else []
        parts += folder.parts
    return parts
