"""Compare what gworkers needs of Gunicorn's internals with the installed release, and say what is off without it."""
from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import gunicorn

from gworkers.errors import RequirementError
from gworkers.findings import Finding
from gworkers.gunicorn_internals import NEEDS, TESTED, Feature, Need
from gworkers.versions import Version, format_version, parse_version

#: The installed release.
RELEASE: Version = parse_version(gunicorn.__version__)

#: How to install the newest release that the tests have passed on.
PIN = f"pip install 'gunicorn<={format_version(TESTED)}'"


def works(feature: Feature) -> bool:
    """Return whether the installed Gunicorn has what *feature* needs."""
    return not differences(feature)


class UnusableWorker:
    """Takes the place of the worker classes where they cannot be built: Gunicorn calls its ``setup()`` at start."""

    @classmethod
    def configure(cls, **settings: object) -> type[UnusableWorker]:
        """Ignore *settings*: Gunicorn would report an exception in its configuration file with a traceback."""
        return cls

    @classmethod
    def setup(cls) -> None:
        """Say why no worker can serve.

        :raises RequirementError: always
        """
        raise RequirementError(_finding(Feature.SERVING, ", ".join(differences(Feature.SERVING))))


def optional(name: str, stand_in: Any) -> Any:
    """Return what Gunicorn calls *name* (``module:name``), or *stand_in* if this release does not have it."""
    found = _found(name)
    return stand_in if found is None else found


def known_settings() -> tuple[Any, ...]:
    """Return the classes of Gunicorn's settings; none if this release describes them in another way."""
    return tuple(optional("gunicorn.config:KNOWN_SETTINGS", ())) if works(Feature.ADVICE) else ()


def check() -> list[Finding]:
    """Return what is to be said of the installed Gunicorn when a server starts."""
    found = [incompatible(feature) for feature in Feature if feature is not Feature.DOCTOR]
    return [*_untested(), *filter(None, found)]


def incompatible(feature: Feature) -> Finding | None:
    """Return the finding that *feature* is off; None if it works."""
    different = differences(feature)
    return _finding(feature, ", ".join(different)) if different else None


def failed(feature: Feature, error: str) -> Finding:
    """Return the finding that *feature* is off because of *error*, which the comparison has not foreseen."""
    return _finding(feature, f"has changed: {error}")


def _finding(feature: Feature, reason: str) -> Finding:
    return Finding(
        "gunicorn-incompatible", f"{feature.state} because Gunicorn {gunicorn.__version__} {reason}", feature.loss,
        f"Upgrade gworkers, or install a release of Gunicorn that it was tested with: {PIN}",
        fatal=feature is Feature.SERVING)


def _untested() -> list[Finding]:
    if RELEASE <= TESTED:
        return []
    return [Finding(
        "gunicorn-untested", f"Gunicorn {gunicorn.__version__} is newer than {format_version(TESTED)}, the newest "
        "release that gworkers was tested with", "its reloads, signals or parser may behave differently",
        f"Upgrade gworkers, test reloads before you deploy, or {PIN}")]


@cache
def differences(feature: Feature) -> tuple[str, ...]:
    """Return what the installed Gunicorn lacks, or has in another form, of what *feature* needs."""
    return tuple(dict.fromkeys(
        difference for need in NEEDS if need.feature is feature and need.since <= RELEASE < need.until
        for difference in _differences(need)))


def _differences(need: Need) -> Iterator[str]:
    owner = _found(need.owner)
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
        present = _names_in_methods(owner) if name == "*" else _names_in(getattr(owner, name, None))
        if present is not None:
            yield from (f"does not use {other} in {spelled(name)}" for other in used.split() if other not in present)


def _found(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
    except ImportError:
        return None
    for part in filter(None, path.split(".")):
        found = getattr(found, part, None)
    return found


def _has(owner: Any, name: str) -> bool:
    """Return whether a module or a class has an attribute, or whether an instance of the class gets it."""
    if hasattr(owner, name):
        return True
    return isinstance(owner, type) and (name in _names_in_methods(owner) or name in _settings(owner))


@cache
def _names_in_methods(owner: type) -> frozenset[str]:
    """Return all names that the methods of a class use; attributes that they give to an instance are among them."""
    return frozenset(name for base in owner.__mro__ for method in vars(base).values()
                     if isinstance(method, FunctionType) for name in method.__code__.co_names)


@cache
def _settings(owner: type) -> frozenset[str]:
    """Return the settings, which are attributes of ``Config``; none for another class."""
    if owner is not _found("gunicorn.config:Config"):
        return frozenset()
    return frozenset(getattr(setting, "name", "") for setting in optional("gunicorn.config:KNOWN_SETTINGS", ()))


def _code(function: Any) -> Any:
    """Return the code of a function of Gunicorn's own; None for one that another library has put in its place."""
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]
    function = getattr(function, "__wrapped__", function)
    if isinstance(function, FunctionType) and function.__globals__.get("__name__", "").startswith("gunicorn"):
        return function.__code__
    return None


def _names_in(function: Any) -> tuple[str, ...] | None:
    code = _code(function)
    return None if code is None else code.co_names


def _takes(function: Any, wanted: list[str], *, exactly: bool) -> bool:
    """Return whether a function takes the parameters *wanted*, and needs no other.

    :param exactly: whether it must have no other, because Gunicorn would give them to an override, too
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
