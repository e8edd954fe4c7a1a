"""The importers of a module, inferred from the names in other modules because Python does not record them."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

#: The maximum number of importers in a finding.
MAX_IMPORTERS = 6
#: The module name of gunicorn.conf.py, chosen by Gunicorn.
CONFIGURATION = "__config__"
#: Types besides classes whose objects have the attribute ``__module__``.
WITH_MODULE = (FunctionType, BuiltinFunctionType)


def importers(name: str, using: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the probable importer of the module *name*, the importer of that module, and so on.

    Python lists a module in ``sys.modules`` when its import is complete. So the importer is likely to be the first
    later module that has the module, or an object from it, among its names.

    :param using: the result of :func:`modules_by_package`
    """
    position = {other: number for number, other in enumerate(list(sys.modules))}
    chain = [name]
    while len(chain) <= MAX_IMPORTERS and chain[-1] in position:
        last = chain[-1]
        package = last.partition(".")[0]
        candidates = [
            other for other in using.get(package, ()) if other not in chain and other.partition(".")[0] != package]
        if not candidates:
            break
        # Gunicorn lists its configuration module before it executes it.
        chain.append(CONFIGURATION if CONFIGURATION in candidates else
                     min(candidates, key=lambda other: (position[other] < position[last], position[other])))
    return [display_name(importer) for importer in chain[1:]]


def display_name(module: str) -> str:
    """Return the name of *module* that is familiar to a user: the file name for Gunicorn's configuration."""
    return configuration_file_name() if module == CONFIGURATION else module


def configuration_file_name() -> str:
    """Return the name of the file that Gunicorn has read its configuration from."""
    file = getattr(sys.modules.get(CONFIGURATION), "__file__", None)
    return "your configuration file" if file is None else os.path.basename(file)


def modules_by_package() -> dict[str, list[str]]:
    """Return, for each package, the modules that have it, or an object from it, among their names."""
    found: dict[str, list[str]] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType):
            for package in {_module_of(value).partition(".")[0] for value in list(vars(module).values())}:
                found.setdefault(package, []).append(name)
    return found


def _module_of(value: Any) -> str:
    kind = type(value)
    if kind is ModuleType:
        return str(value.__name__)
    # Attributes of other objects are not read: a lazy proxy might run code.
    module = getattr(value if kind in WITH_MODULE or issubclass(kind, type) else kind, "__module__", "")
    return module if isinstance(module, str) else ""
