"""Checks for modules that were imported before the monkey patch and still hold unpatched originals.

A patch replaces names in the modules of the standard library. A module that has imported such a module sees the
replacement. A module that has imported a name from it, or has created an object with it, keeps the original.
"""
from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, partialmethod
from threading import Condition
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import NamedTuple

from gworkers.checks import importers, startup
from gworkers.checks.originals import IMPACTS, NAMES, OBJECTS, Original, Originals, is_replaced, origin
from gworkers.findings import Finding
from gworkers.hubs import HUBS, patched_parts, unpatched_parts
from gworkers.shared_state import SERVER_STATE

#: Packages that handle patched names correctly. The threads of ddtrace are native and use its own copies of modules.
#: The unpatched locks of New Relic are held for moments only, and it does not use the unpatched SSLContext that it has.
TRUSTED = ("ddtrace", "dns", "eventlet", "gevent", "greenlet", "gunicorn", "gworkers", "newrelic")
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
FUNCTIONS = (FunctionType, BuiltinFunctionType)
#: The attribute of each wrapper type that holds the wrapped function.
WRAPPED_ATTRIBUTE = {partial: "func", partialmethod: "func", staticmethod: "__func__", classmethod: "__func__"}


class StaleReference(NamedTuple):
    """A name in a module, or in one of its classes, that still refers to an original."""

    module: str
    #: such as ``time.sleep`` or ``an object of threading.Lock``
    description: str
    impact: str


def modules_before_patch(hub: str, parts: Sequence[str]) -> list[str]:
    """Return the modules that are imported before *hub* patches *parts*. Call it before the worker patches."""
    names = list(sys.modules)
    first = HUBS[hub].imported_by_patch
    if first is None or first not in names or unpatched_parts(hub, parts):
        return names
    # The master was patched. Python lists modules in the order in which their imports were completed.
    return names[:names.index(first)]


def check(imported: Iterable[str]) -> list[Finding]:
    """Return findings about originals in the modules *imported*. Call it after the patch.

    There is one finding for each package, and one for all modules that Python has imported at its own start.
    """
    scanner = _Scanner()
    at_startup = startup.modules()
    early: list[StaleReference] = []
    packages: dict[str, list[StaleReference]] = {}
    for name in imported:
        module = sys.modules.get(name)
        # Some packages also list modules of other packages under a name of their own.
        if isinstance(module, ModuleType) and module.__name__ == name and not _is_exempt(name, module):
            references = early if name in at_startup else packages.setdefault(name.partition(".")[0], [])
            references.extend(scanner.scan(module))
    using = importers.modules_by_package() if any(packages.values()) else {}
    return [*_startup_finding(early, at_startup),
            *(_finding(references, using) for references in packages.values() if references)]


def _is_exempt(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] in TRUSTED or name in startup.HARMLESS:
        return True
    file = getattr(module, "__file__", None)
    # The hub's library handles the modules of the interpreter.
    return file is None or (file.startswith(STANDARD_LIBRARY) and "-packages" not in file)


class _Scanner:
    """Searches modules for references to originals. It caches the result for each class."""

    def __init__(self) -> None:
        self._names = {key: original for key, original in NAMES.items() if is_replaced(original)}
        self._objects = {key: original for key, original in OBJECTS.items() if is_replaced(original)}
        self._original_by_class: dict[type, Original | None] = {}
        self._original_by_type: dict[type, Original | None] = {}
        #: types whose objects are never stale; most types are among them
        self._harmless: set[type] = set()

    def scan(self, module: ModuleType) -> Iterator[StaleReference]:
        """Yield the stale references in *module* and in its classes, each kind once."""
        found = set()
        for value in _values(module):
            if type(value) not in self._harmless:
                stale = self._stale(value, module)
                if stale is not None and stale not in found:
                    found.add(stale)
                    yield StaleReference(module.__name__, *stale)

    def _stale(self, value: object, module: ModuleType) -> tuple[str, str] | None:
        """Return a description of *value* and its impact if it is, or was made with, an original."""
        kind = type(value)
        if kind in WRAPPED_ATTRIBUTE:
            return self._stale(getattr(value, WRAPPED_ATTRIBUTE[kind]), module)
        if kind in FUNCTIONS:
            original = self._names.get(origin(value))
            return original and (original.name, original.impact)
        if issubclass(kind, type):
            return self._stale_class(value, module)  # type: ignore[arg-type]
        if issubclass(kind, Condition):
            # A condition creates the lock of each waiter when it waits, but its own lock only once.
            original = self._original(type(vars(value).get("_lock")), self._objects, self._original_by_type)
            return original and ("an object of threading.Condition", original.impact)
        original = self._original(kind, self._objects, self._original_by_type)
        if original is None:
            self._harmless.add(kind)
            return None
        return f"an object of {original.name}", original.impact

    def _stale_class(self, value: type, module: ModuleType) -> tuple[str, str] | None:
        original = self._original(value, self._names, self._original_by_class)
        if original is None:
            return None
        name = origin(value)
        if name in self._names:
            return original.name, original.impact
        # A derived class is reported in the package that defines it, not in packages that import it.
        own = name[0].partition(".")[0] == module.__name__.partition(".")[0]
        return (f"a class derived from {original.name}", original.impact) if own else None

    def _original(self, kind: type, originals: Originals, known: dict[type, Original | None]) -> Original | None:
        """Return the member of *originals* that the class *kind* is, or is derived from."""
        if kind not in known:
            known[kind] = None
            name = origin(kind)
            # Classes of the hub's library that derive from originals are the replacements.
            if all(name[0].partition(".")[0] != row.library for row in HUBS.values()):
                inherited = (self._original(base, originals, known) for base in kind.__bases__)
                known[kind] = originals.get(name) or next(filter(None, inherited), None)
        return known[kind]


def _values(module: ModuleType) -> Iterator[object]:
    """Yield the values of the names in *module* and in the classes that it defines."""
    own = module.__name__
    for value in list(vars(module).values()):
        yield value
        if issubclass(type(value), type) and vars(value).get("__module__") == own:
            yield from list(vars(value).values())


def _startup_finding(references: Sequence[StaleReference], imported: frozenset[str]) -> list[Finding]:
    """Return the finding for *references* in the modules *imported* at the start of Python."""
    if not references:
        return []
    worst, more = _worst(references)
    agent = startup.agent(imported)
    hub = next((hub for hub in HUBS if patched_parts(hub)), "")
    fix = agent.fix.get(hub) if agent is not None else None
    if fix is None:
        patch = f"; or begin this file with: {HUBS[hub].master_patch_code}" if hub else ""
        fix = f"Import it in the application, not in sitecustomize, usercustomize or a .pth file{patch}"
    return [Finding(
        "imported-at-startup",
        f"{'sitecustomize or a .pth file' if agent is None else agent.name} has imported modules when Python started, "
        f"before the patch: {worst.module} keeps {worst.description}{more}", worst.impact, fix)]


def _worst(references: Sequence[StaleReference]) -> tuple[StaleReference, str]:
    """Return the reference with the worst impact, and the number of the others as text."""
    worst = min(references, key=lambda reference: IMPACTS.index(reference.impact))
    return worst, f" and {len(references) - 1} more" if len(references) > 1 else ""


def _finding(references: Sequence[StaleReference], using: Mapping[str, Sequence[str]]) -> Finding:
    worst, more = _worst(references)
    file = importers.configuration_file_name()
    # Empty if a library other than that of a hub has patched this process.
    patch = [f"begin {file} with: {row.master_patch_code}" for hub, row in HUBS.items() if patched_parts(hub)]
    chain = importers.importers(worst.module, using)
    in_configuration = worst.module == importers.configuration_module()
    if SERVER_STATE.started_by_script:
        advice = "; or ".join([*patch, "pass the application by its name, 'module:app'"])
        advice = advice[0].upper() + advice[1:]
    else:
        advice = "; or ".join(["Move it to the application, or to a hook that runs in a worker" if in_configuration
                               else f"Import it in the application, not in {file}", *patch])
    if in_configuration:
        problem = f"{file} has {worst.description}{more} from before the patch"
    else:
        importer = f"imported by {' <- '.join(chain)}" if chain else "importer unknown"
        problem = (f"{importers.display_name(worst.module)} was imported before the patch and keeps "
                   f"{worst.description}{more} ({importer})")
    return Finding("imported-too-early", problem, worst.impact, advice)
