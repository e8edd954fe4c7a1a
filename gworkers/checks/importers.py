"""Who has imported a module. Python does not write it down; it can be told from what modules have among their names."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

#: How many importers are named.
LONGEST_CHAIN = 6
#: What Gunicorn calls the module that it makes of gunicorn.conf.py.
CONFIGURATION = "__config__"
#: What knows where it comes from, besides classes.
DEFINED = (FunctionType, BuiltinFunctionType)


def importers(name: str, using: Mapping[str, Sequence[str]]) -> list[str]:
    """Return who has imported the module *name*, and who has imported that one, as far as can be told.

    Python lists a module when its import is complete, so the first behind it that has it, or something of it, among
    its names is likely to be where the import came from.

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
        # Gunicorn lists its configuration before it is executed.
        chain.append(CONFIGURATION if CONFIGURATION in candidates else
                     min(candidates, key=lambda other: (place[other] < place[last], place[other])))
    return [display_name(importer) for importer in chain[1:]]


def display_name(module: str) -> str:
    """Return the name that a user knows a module by."""
    return configuration_file_name() if module == CONFIGURATION else module


def configuration_file_name() -> str:
    """Return what the file is called that Gunicorn has read its configuration from."""
    file = getattr(sys.modules.get(CONFIGURATION), "__file__", None)
    return "your configuration file" if file is None else os.path.basename(file)


def modules_by_package() -> dict[str, list[str]]:
    """Return, for each package, the modules that have it or something of it among their names."""
    found: dict[str, list[str]] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType):
            for package in {_home(value).partition(".")[0] for value in list(vars(module).values())}:
                found.setdefault(package, []).append(name)
    return found


def _home(value: Any) -> str:
    kind = type(value)
    if kind is ModuleType:
        return str(value.__name__)
    # An object itself is not asked: one that stands for another might begin to work.
    home = getattr(value if kind in DEFINED or issubclass(kind, type) else kind, "__module__", "")
    return home if isinstance(home, str) else ""
