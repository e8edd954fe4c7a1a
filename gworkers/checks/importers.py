"""The importers of a module, inferred from the names in other modules because Python does not record them."""
from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from gworkers.shared_state import SERVER_STATE

#: The maximum number of importers in a finding.
MAX_IMPORTERS = 6
#: The module name of gunicorn.conf.py, chosen by Gunicorn.
CONFIGURATION = "__config__"
#: The module name of a script.
SCRIPT = "__main__"
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
        # These modules are listed before they are executed.
        start = configuration_module()
        chain.append(start if start in candidates else
                     min(candidates, key=lambda other: (position[other] < position[last], position[other])))
    return [display_name(importer) for importer in chain[1:]]


def configuration_module() -> str:
    """Return the name of the module with the server's configuration: gunicorn.conf.py, or the script."""
    return SCRIPT if SERVER_STATE.started_by_script else CONFIGURATION


def display_name(module: str) -> str:
    """Return the name of *module* that is familiar to a user: the file name for the configuration and the script."""
    return configuration_file_name() if module == configuration_module() else module


def configuration_file_name() -> str:
    """Return the name of the file that has the server's configuration."""
    file = getattr(sys.modules.get(configuration_module()), "__file__", None)
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
