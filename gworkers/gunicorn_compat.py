"""Compare what gworkers needs of Gunicorn's internals with the installed release, and say what is off without it."""
from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from opcode import opmap
from types import CodeType, FunctionType
from typing import Any

import gunicorn

from gworkers.errors import RequirementError
from gworkers.findings import Finding
from gworkers.gunicorn_internals import NEEDS, TESTED, Feature, Need
from gworkers.versions import Version, format_version, parse_version

#: The installed release.
RELEASE: Version = parse_version(gunicorn.__version__)

STORE_ATTR, EXTENDED_ARG = opmap["STORE_ATTR"], opmap["EXTENDED_ARG"]
#: Differences that a finding names; further ones are counted.
NAMED = 3
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
        raise RequirementError(_finding(Feature.SERVING, _listed(differences(Feature.SERVING))))


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
    return _finding(feature, _listed(different)) if different else None


def failed(feature: Feature, error: str) -> Finding:
    """Return the finding that *feature* is off because of *error*, which the comparison has not foreseen."""
    return _finding(feature, f"has changed: {error}")


def check_instance(feature: Feature, owner: str, instance: object) -> Finding | None:
    """Return the finding that *feature* is off because an *instance* of Gunicorn's class *owner* lacks attributes.

    The comparison at start looks at classes. It takes an attribute of another object for one of their instances if
    one of their methods assigns it.
    """
    missing = tuple(f"has no {owner}.{name}" for need in _needs(feature) if need.owner == owner
                    for name in need.names.split() if not hasattr(instance, name))
    return _finding(feature, _listed(missing)) if missing else None


def _needs(feature: Feature) -> Iterator[Need]:
    """Yield what *feature* needs of the installed release."""
    return (need for need in NEEDS if need.feature is feature and need.since <= RELEASE < need.until)


def _listed(different: tuple[str, ...]) -> str:
    more = len(different) - NAMED
    return ", ".join(different[:NAMED]) + (f", and {more} more" if more > 0 else "")


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
    return tuple(dict.fromkeys(difference for need in _needs(feature) for difference in _differences(need)))


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
        codes = list(_methods(owner)) if name == "*" else [_code(getattr(owner, name, None))]
        present = {known for code in codes if code is not None for known in code.co_names}
        if any(codes):
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
    return isinstance(owner, type) and (name in _assigned(owner) or _is_setting(owner, name))


def _methods(owner: type) -> Iterator[CodeType]:
    for base in owner.__mro__:
        for method in vars(base).values():
            # PyPy's built-in methods are functions too, but for their code.
            if isinstance(method, FunctionType) and isinstance(method.__code__, CodeType):
                yield method.__code__


@cache
def _assigned(owner: type) -> frozenset[str]:
    """Return the attributes that the methods of a class assign: to its instances, rarely to something else."""
    return frozenset(name for code in _methods(owner) for name in _assigned_in(code))


def _assigned_in(code: CodeType) -> Iterator[str]:
    # The same as dis.get_instructions() finds, in a hundredth of the time: every instruction has two bytes.
    operations, arguments = code.co_code[::2], code.co_code[1::2]
    at = operations.find(STORE_ATTR)
    while at >= 0:
        high = arguments[at - 1] if operations[at - 1] == EXTENDED_ARG else 0
        yield code.co_names[high << 8 | arguments[at]]
        at = operations.find(STORE_ATTR, at + 1)


def _is_setting(owner: type, name: str) -> bool:
    """Return whether *owner* is ``Config``, of which settings are attributes, and *name* is one, or may be one."""
    settings = _settings()
    return owner is _found("gunicorn.config:Config") and (not settings or name in settings)


@cache
def _settings() -> frozenset[str]:
    """Return the names of Gunicorn's settings; none if they cannot be listed."""
    return frozenset(setting.name for setting in optional("gunicorn.config:KNOWN_SETTINGS", ())
                     if hasattr(setting, "name"))


def _code(function: Any) -> Any:
    """Return the code of a function of Gunicorn's own; None for one that another library has put in its place."""
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]
    function = getattr(function, "__wrapped__", function)
    if isinstance(function, FunctionType) and function.__globals__.get("__name__", "").startswith("gunicorn"):
        return function.__code__
    return None


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
