"""The application that uWSGI loads, as Gunicorn's `wsgi_app`."""
from __future__ import annotations

import os.path
import re

from gworkers.convert.configuration import Option
from gworkers.convert.draft import Draft, Note
from gworkers.convert.value import Value

MODULE = frozenset(("module", "wsgi"))
FILE = frozenset(("wsgi-file", "file"))
CALLABLE = frozenset(("callable",))
MOUNT = frozenset(("mount",))
NAMES = MODULE | FILE | CALLABLE | MOUNT | {"chdir", "wsgi-lite"}
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

SEVERAL = (
    "Gunicorn serves one application. Combine them in a module with DispatcherMiddleware of werkzeug and name that "
    "module in wsgi_app, or start one server for each and let the proxy select.")
NAME = "No option names the application. Set wsgi_app = \"package.module:callable\", or give it on the command line."
UNDECIDED = "The application depends on the environment. Set wsgi_app by hand."


def convert(options: list[Option], draft: Draft) -> None:
    """Set ``wsgi_app`` from the options in :data:`NAMES`."""
    found = [option for option in options if option.name in NAMES]
    undecided = [option for option in found
                 if option.name != "chdir" and (option.value.text is None or option.condition)]
    for option in undecided:
        draft.note(option, UNDECIDED)
    known = [option for option in found if option not in undecided]
    mounts = _last(known, MOUNT, every=True)
    sources = _last(known, FILE) or _last(known, MODULE)
    called = _last(known, CALLABLE)
    name = (called[-1].value.text or "") if called else "application"
    # uWSGI loads the module if both are set. A mount adds to it.
    source = (_last(known, MODULE) or sources)
    if source:
        _set(source[-1].value.text or "", name, source[-1], found, draft)
    elif len(mounts) == 1:
        _mounted(mounts[0], name, found, draft)
        return
    elif not undecided and not mounts:
        draft.notes.insert(0, Note("", "module", NAME))
    for mount in mounts:
        draft.note(mount, SEVERAL)


def _last(options: list[Option], names: frozenset[str], *, every: bool = False) -> list[Option]:
    found = [option for option in options if option.name in names]
    return found if every else found[-1:]


def _mounted(option: Option, name: str, found: list[Option], draft: Draft) -> None:
    prefix, _, source = (option.value.text or "").partition("=")
    _set(source, name, option, found, draft)
    if prefix.strip("/"):
        draft.append("raw_env", Value.of(f"SCRIPT_NAME=/{prefix.strip('/')}").string(), option)
        draft.note(option, "SCRIPT_NAME serves the application below this path. Gunicorn refuses requests for other "
                           "paths, so the proxy must pass this path only.")


def _set(source: str, name: str, option: Option, found: list[Option], draft: Draft) -> None:
    """Set ``wsgi_app`` to a module or a file with the callable *name*."""
    source, colon, own_name = source.strip().rpartition(":")
    if not colon:
        source, own_name = own_name, name
    module = source
    if source.endswith(".py") or "/" in source:
        folder, module = _split(source, [each.value.text for each in found if each.name == "chdir"])
        if folder:
            draft.append("pythonpath", Value.of(folder).string(), option)
    draft.set("wsgi_app", Value.of(f"{module}:{own_name or name}").string())
    if not DOTTED.fullmatch(module):
        draft.note(option, f"{module!r} is not the name of a module. Rename the file, and correct wsgi_app.")


def _split(file: str, directories: list[str | None]) -> tuple[str, str]:
    """Return what has to be added to the import path, and the name of the module."""
    path = os.path.normpath(file)
    directory = directories[-1] if directories else None
    if os.path.isabs(path) and directory is not None and os.path.isabs(directory):
        inner = os.path.relpath(path, directory)
        path = path if inner.startswith("..") else inner
    stem = path.removesuffix(".py")
    if not os.path.isabs(stem) and DOTTED.fullmatch(stem.replace("/", ".")):
        return "", stem.replace("/", ".")
    folder, name = os.path.split(stem)
    return folder, name
