"""What the monkey patch could not reach, because it came too late.

A patch replaces names in the modules of the standard library. Who has imported such a module sees that; who has
imported the name itself, or built a class on it, before the patch keeps the old one, which blocks the hub.
"""
from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from gworkers.checks.findings import Finding

#: Modules that the hubs patch, with names that others import from them.
PATCHED = ("_thread", "os", "queue", "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading",
           "time")
#: Packages that know what they do with names that are patched.
TRUSTED = ("eventlet", "gevent", "greenlet", "gunicorn", "gworkers", "dns")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
#: How many importers are named.
LONGEST_CHAIN = 6

Originals = Mapping[str, Mapping[str, Any]]


def originals() -> Originals:
    """Return the names that a patch may replace, as they are now, in the modules that are loaded."""
    found = {name: {key: value for key, value in vars(sys.modules[name]).items()
                    if callable(value) and not key.startswith("__")}
             for name in PATCHED if name in sys.modules}
    # In a master that has been patched already only gevent remembers what was there before.
    for name, values in getattr(sys.modules.get("gevent.monkey"), "saved", {}).items():
        if name in found:
            found[name].update((key, value) for key, value in values.items() if callable(value))
    return found


def check(before: Originals) -> list[Finding]:
    """Return who still has names that have been replaced since *before* was taken."""
    replaced: dict[int, str] = {}
    for name, values in before.items():
        now = vars(sys.modules[name])
        for key, value in values.items():
            if now.get(key) is not value:
                replaced[id(value)] = f"{name}.{key}"
    if not replaced:
        return []
    kept: dict[str, list[tuple[str, str]]] = {}
    for name, module in list(sys.modules.items()):
        # Some packages list the modules of others as their own, too.
        if isinstance(module, ModuleType) and module.__name__ == name and not _is_exempt(name, module):
            for what in _kept(module, replaced):
                kept.setdefault(name.partition(".")[0], []).append((name, what))
    using = users() if kept else {}
    return [_finding(places, using) for places in kept.values()]


def _is_exempt(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] in TRUSTED or name in PATCHED or name.startswith("__patched_module_"):
        return True
    file = getattr(module, "__file__", None)
    # What belongs to the interpreter is the patch's own business.
    return file is None or (file.startswith(STANDARD_LIBRARY) and "-packages" not in file)


def _kept(module: ModuleType, replaced: Mapping[int, str]) -> list[str]:
    found = []
    for value in list(vars(module).values()):
        what = replaced.get(id(value))
        if what is None and isinstance(value, type):
            base = next((replaced[id(base)] for base in value.__mro__ if id(base) in replaced), None)
            what = base and f"a class made of {base}"
        if what is not None and what not in found:
            found.append(what)
    return found


def _finding(places: list[tuple[str, str]], using: Mapping[str, Sequence[str]]) -> Finding:
    module, what = places[0]
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    by = " <- ".join(importers(module, using)) or "nobody that could be found"
    return Finding(
        "imported-too-early", f"{module} was imported before the patch and keeps {what}{more} (imported by {by})",
        "it blocks the hub, and with it all other requests",
        "Import it in the application, not in gunicorn.conf.py; or begin gunicorn.conf.py with the patch itself")


def importers(name: str, using: Mapping[str, Sequence[str]]) -> list[str]:
    """Return who has imported the module *name*, and who has imported that one, as far as can be told.

    Python does not write it down. But it lists a module when its import is complete, so the first behind it that
    has it, or something of it, among its names is likely to be where the import came from.

    :param using: what :func:`users` returns
    """
    place = {other: number for number, other in enumerate(list(sys.modules))}
    chain = [name]
    while len(chain) <= LONGEST_CHAIN and chain[-1] in place:
        last = chain[-1]
        mine = last.partition(".")[0]
        candidates = [other for other in using.get(mine, ()) if other not in chain and other.partition(".")[0] != mine]
        if not candidates:
            break
        chain.append(min(candidates, key=lambda other: (place[other] < place[last], place[other])))
    return ["gunicorn.conf.py" if importer == "__config__" else importer for importer in chain[1:]]


def users() -> dict[str, list[str]]:
    """Return, for each package, the modules that have it or something of it among their names."""
    found: dict[str, list[str]] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType):
            for package in {_home(value) for value in list(vars(module).values())}:
                found.setdefault(package, []).append(name)
    return found


def _home(value: object) -> str:
    try:
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        return home.partition(".")[0] if isinstance(home, str) else ""
    except Exception:
        # Whatever the object makes of it when it is asked.
        return ""
