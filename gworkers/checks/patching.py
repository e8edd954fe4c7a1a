"""What the monkey patch could not reach, because it came too late.

A patch replaces names in the modules of the standard library. Who has imported such a module sees that; who has taken
something out of it, or made something with it, before the patch keeps what does not know of greenlets.
"""
from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, partialmethod
from threading import Condition
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import NamedTuple

from gworkers.checks import importers
from gworkers.checks.configuration import MASTER_PATCH_CODE
from gworkers.checks.originals import CONSEQUENCES, NAMES, OBJECTS, Original, Originals, is_replaced, origin
from gworkers.findings import Finding
from gworkers.hubs import HUBS, patched_parts, unpatched_parts

#: Packages that know what they do with names that are patched.
TRUSTED = ("eventlet", "gevent", "greenlet", "gunicorn", "gworkers", "dns")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
FUNCTIONS = (FunctionType, BuiltinFunctionType)
#: Where an object of these has what it is about.
INSIDE = {partial: "func", partialmethod: "func", staticmethod: "__func__", classmethod: "__func__"}


class Kept(NamedTuple):
    """Something in a module that a patch has not reached."""

    module: str
    what: str
    impact: str


def modules_before_patch(hub: str, parts: Sequence[str]) -> list[str]:
    """Return the modules that are imported before the hub called *hub* patches *parts*; to be called before it does."""
    names = list(sys.modules)
    first = HUBS[hub].patching
    if first not in names or unpatched_parts(hub, parts):
        return names
    # The master was patched. Python lists modules in the order in which their imports were complete.
    return names[:names.index(first)]


def check(imported: Iterable[str]) -> list[Finding]:
    """Return what modules of those *imported* before the patch keep that it has replaced since."""
    scan = _Scan()
    packages: dict[str, list[Kept]] = {}
    for name in imported:
        module = sys.modules.get(name)
        # Some packages list the modules of others as their own, too.
        if isinstance(module, ModuleType) and module.__name__ == name and not _is_exempt(name, module):
            for kept in scan.module(module):
                packages.setdefault(name.partition(".")[0], []).append(kept)
    using = importers.modules_by_package() if packages else {}
    return [_finding(kept, using) for kept in packages.values()]


def _is_exempt(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] in TRUSTED:
        return True
    file = getattr(module, "__file__", None)
    # What belongs to the interpreter is the patch's own business.
    return file is None or (file.startswith(STANDARD_LIBRARY) and "-packages" not in file)


class _Scan:
    """A look through modules; what is found out about a class is remembered for the others."""

    def __init__(self) -> None:
        self._names = {key: original for key, original in NAMES.items() if is_replaced(original)}
        self._objects = {key: original for key, original in OBJECTS.items() if is_replaced(original)}
        self._classes: dict[type, Original | None] = {}
        self._kinds: dict[type, Original | None] = {}
        #: classes whose objects say nothing, which are nearly all
        self._dull: set[type] = set()

    def module(self, module: ModuleType) -> Iterator[Kept]:
        """Yield what *module* has among its names, or one of its classes, and should not have."""
        found = set()
        for value in _values(module):
            if type(value) not in self._dull:
                told = self._told(value, module)
                if told is not None and told not in found:
                    found.add(told)
                    yield Kept(module.__name__, *told)

    def _told(self, value: object, module: ModuleType) -> tuple[str, str] | None:
        """Return what *value* is and what comes of it, if it is one that has not been reached."""
        kind = type(value)
        if kind in INSIDE:
            return self._told(getattr(value, INSIDE[kind]), module)
        if kind in FUNCTIONS:
            original = self._names.get(origin(value))
            return original and (original.name, original.impact)
        if issubclass(kind, type):
            return self._class_told(value, module)  # type: ignore[arg-type]
        if issubclass(kind, Condition):
            # It makes what its waiters wait on whenever they wait, but its lock only once.
            original = self._original(type(vars(value).get("_lock")), self._objects, self._kinds)
            return original and ("an object of threading.Condition", original.impact)
        original = self._original(kind, self._objects, self._kinds)
        if original is None:
            self._dull.add(kind)
            return None
        return f"an object of {original.name}", original.impact

    def _class_told(self, value: type, module: ModuleType) -> tuple[str, str] | None:
        original = self._original(value, self._names, self._classes)
        if original is None:
            return None
        name = origin(value)
        if name in self._names:
            return original.name, original.impact
        # It is told of where it was made, not where it was imported from there.
        own = name[0].partition(".")[0] == module.__name__.partition(".")[0]
        return (f"a class made of {original.name}", original.impact) if own else None

    def _original(self, kind: type, originals: Originals, known: dict[type, Original | None]) -> Original | None:
        """Return which of *originals* the class is, or is made of."""
        if kind not in known:
            known[kind] = None
            name = origin(kind)
            # What the hub's library has made of an original is what should be there.
            if name[0].partition(".")[0] not in HUBS:
                made_of = (self._original(base, originals, known) for base in kind.__bases__)
                known[kind] = originals.get(name) or next(filter(None, made_of), None)
        return known[kind]


def _values(module: ModuleType) -> Iterator[object]:
    """Yield what *module* has among its names, and what its classes have among theirs."""
    own = module.__name__
    for value in list(vars(module).values()):
        yield value
        if issubclass(type(value), type) and vars(value).get("__module__") == own:
            yield from list(vars(value).values())


def _finding(kept: Sequence[Kept], using: Mapping[str, Sequence[str]]) -> Finding:
    worst = min(kept, key=lambda one: CONSEQUENCES.index(one.impact))
    more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
    file = importers.configuration_file_name()
    # None, if it is not a hub that has patched here.
    patch = "".join(f"; or begin {file} with: {MASTER_PATCH_CODE[hub]}" for hub in HUBS if patched_parts(hub))
    if worst.module == importers.CONFIGURATION:
        return Finding(
            "imported-too-early", f"{file} has {worst.what}{more} from before the patch", worst.impact,
            f"Have it in the application, or in a worker's hook{patch}")
    by = " <- ".join(importers.importers(worst.module, using)) or "nobody that could be found"
    return Finding(
        "imported-too-early",
        f"{importers.display_name(worst.module)} was imported before the patch and keeps {worst.what}{more} "
        f"(imported by {by})", worst.impact, f"Import it in the application, not in {file}{patch}")
