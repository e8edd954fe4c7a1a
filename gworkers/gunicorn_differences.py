"""The comparison of the declarations in :mod:`gworkers.gunicorn_internals` with the installed Gunicorn.

It calls no code of Gunicorn. It finds the attributes of instances in the code of the methods that assign them.
"""
from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from opcode import opmap
from types import CodeType, FunctionType
from typing import Any

import gunicorn

from gworkers.gunicorn_internals import NEEDS, Feature, Need
from gworkers.versions import Version, installed_version, parse_version

#: The installed release, as its text and in numbers.
VERSION: str = getattr(gunicorn, "__version__", None) or installed_version("gunicorn") or "unknown"
RELEASE: Version = parse_version(VERSION)

STORE_ATTR, EXTENDED_ARG = opmap["STORE_ATTR"], opmap["EXTENDED_ARG"]


def find(name: str) -> Any:
    """Return the module, or the object in it, called *name* (``module:Class.attribute``); None if there is none."""
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
    except ImportError:
        return None
    for part in filter(None, path.split(".")):
        found = getattr(found, part, None)
    return found


@cache
def differences(feature: Feature) -> tuple[str, ...]:
    """Return how the installed Gunicorn differs from what *feature* needs."""
    return tuple(dict.fromkeys(difference for need in _needs(feature) for difference in _differences(need)))


def missing_attributes(feature: Feature, owner: str, instance: object) -> tuple[str, ...]:
    """Return the attributes that *feature* needs and that an *instance* of Gunicorn's class *owner* lacks.

    :func:`differences` examines the class only. It also accepts an attribute that a method assigns to another object.
    """
    return tuple(f"has no {owner}.{name}" for need in _needs(feature) if need.owner == owner
                 for name in need.names.split() if not hasattr(instance, name))


def _needs(feature: Feature) -> Iterator[Need]:
    """Yield what *feature* needs of the installed release."""
    return (need for need in NEEDS if need.feature is feature and need.since <= RELEASE < need.until)


def _differences(need: Need) -> Iterator[str]:
    owner = find(need.owner)
    if owner is None:
        yield f"has no {need.owner}"
        return

    def spelled(name: str) -> str:
        return f"{need.owner}.{name}" if ":" in need.owner else f"{need.owner}:{name}"

    for name in need.names.split():
        if not _has(owner, name):
            yield f"has no {spelled(name)}"
    for name, parameters in (*need.calls.items(), *need.overrides.items()):
        function = getattr(owner, name, None)
        if function is None:
            yield f"has no {spelled(name)}"
        elif not _takes(function, parameters.split(), exactly=name in need.overrides):
            yield f"has other parameters of {spelled(name)}"
    for name, used in need.relies.items():
        codes = list(_methods(owner)) if name == "*" else [_code(getattr(owner, name, None))]
        present = {known for code in codes if code is not None for known in code.co_names}
        if any(codes):
            yield from (f"does not use {other} in {spelled(name)}" for other in used.split() if other not in present)


def _has(owner: Any, name: str) -> bool:
    """Return whether a module or a class has the attribute *name*, or an instance of the class probably has it."""
    if hasattr(owner, name):
        return True
    return isinstance(owner, type) and (name in _assigned(owner) or _is_setting(owner, name))


def _methods(owner: type) -> Iterator[CodeType]:
    for base in owner.__mro__:
        for method in vars(base).values():
            # PyPy's built-in methods are FunctionType objects too, but have another type of code.
            if isinstance(method, FunctionType) and isinstance(method.__code__, CodeType):
                yield method.__code__


@cache
def _assigned(owner: type) -> frozenset[str]:
    """Return the attributes that the methods of a class assign, usually to its instances."""
    return frozenset(name for code in _methods(owner) for name in _assigned_in(code))


def _assigned_in(code: CodeType) -> Iterator[str]:
    # dis.get_instructions() gives the same result, but takes a hundred times as long. Every instruction has two bytes.
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    at = operations.find(STORE_ATTR)
    while at >= 0:
        high = arguments[at - 1] if operations[at - 1] == EXTENDED_ARG else 0
        yield code.co_names[high << 8 | arguments[at]]
        at = operations.find(STORE_ATTR, at + 1)


def _is_setting(owner: type, name: str) -> bool:
    """Return whether *owner* is ``Config``, whose attributes include the settings, and *name* may be a setting."""
    settings = _settings()
    return owner is find("gunicorn.config:Config") and (not settings or name in settings)


@cache
def _settings() -> frozenset[str]:
    """Return the names of Gunicorn's settings; none if they cannot be listed."""
    return frozenset(setting.name for setting in find("gunicorn.config:KNOWN_SETTINGS") or ()
                     if hasattr(setting, "name"))


def _code(function: Any) -> Any:
    """Return the code of *function*; None if it is not Gunicorn's, because another library has replaced it."""
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]
    function = getattr(function, "__wrapped__", function)
    if isinstance(function, FunctionType) and function.__globals__.get("__name__", "").startswith("gunicorn"):
        return function.__code__
    return None


def _takes(function: Any, wanted: list[str], *, exactly: bool) -> bool:
    """Return whether *function* has the parameters *wanted* and requires no others.

    :param exactly: whether it must not have optional others either, because Gunicorn may pass them to an override
    """
    code = _code(function)
    if code is None:
        return True
    positional = code.co_varnames[:code.co_argcount]
    by_name = code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount]
    function = getattr(function, "__wrapped__", function)
    optional = positional[len(positional) - len(function.__defaults__ or ()):]
    spelled = [f"{name}=" if name in optional else name for name in positional]
    if exactly:
        return spelled == wanted and not by_name
    given = tuple(name.rstrip("=") for name in wanted)
    return (positional[:len(given)] == given and len(positional) - len(optional) <= len(given)
            and set(by_name) <= set(function.__kwdefaults__ or ()))
