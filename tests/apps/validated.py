"""Another application behind ``wsgiref.validate``: ``validated:echo`` wraps ``echo:app``."""

from __future__ import annotations

import importlib
from typing import Any
from wsgiref.validate import validator


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return validator(importlib.import_module(name).app)
