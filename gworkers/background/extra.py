"""Optional dependencies, which the extra ``background`` installs."""
from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def require_extra(module: str, function: str) -> None:
    """Check that *module* is installed, without importing it.

    :raises ImportError: if it is not
    """
    if find_spec(module) is None:
        raise ImportError(f"{function} needs the package {module}: pip install 'gworkers[background]'", name=module)


def import_extra(module: str, function: str) -> Any:
    """Return *module*, which *function* needs.

    :raises ImportError: if it is not installed
    """
    require_extra(module, function)
    return import_module(module)
