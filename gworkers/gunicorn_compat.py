"""The features of gworkers that are off because the installed Gunicorn lacks what they need."""
from __future__ import annotations

from typing import Any

from gworkers.errors import RequirementError
from gworkers.findings import Finding
from gworkers.gunicorn_differences import RELEASE, VERSION, differences, find, missing_attributes
from gworkers.gunicorn_internals import TESTED, Feature
from gworkers.versions import format_version

#: Maximum number of differences that a finding names. Further ones are counted.
MAX_NAMED = 3
#: How to install the newest release that the tests have passed on.
PIN = f"pip install 'gunicorn<={format_version(TESTED)}'"


def works(feature: Feature) -> bool:
    """Return whether the installed Gunicorn has what *feature* needs."""
    return not differences(feature)


def optional(name: str, stand_in: Any) -> Any:
    """Return Gunicorn's object *name* (``module:name``), or *stand_in* if this release does not have it."""
    found = find(name)
    return stand_in if found is None else found


def known_settings() -> tuple[Any, ...]:
    """Return the classes of Gunicorn's settings; none if this release describes them in another way."""
    return tuple(optional("gunicorn.config:KNOWN_SETTINGS", ())) if works(Feature.ADVICE) else ()


def check() -> list[Finding]:
    """Return the findings about the installed Gunicorn that matter when a server starts."""
    found = [incompatible(feature) for feature in Feature if feature not in (Feature.DOCTOR, Feature.SCRIPT)]
    return [*_untested(), *filter(None, found)]


def incompatible(feature: Feature) -> Finding | None:
    """Return the finding that *feature* is off; None if it works."""
    return _finding(feature, differences(feature))


def check_instance(feature: Feature, owner: str, instance: object) -> Finding | None:
    """Return the finding that *feature* is off because an *instance* of Gunicorn's class *owner* lacks attributes."""
    return _finding(feature, missing_attributes(feature, owner, instance))


def failed(feature: Feature, error: str) -> Finding | None:
    """Return the finding that *feature* is off because of *error*, which the comparison did not predict."""
    return _finding(feature, (f"has changed: {error}",))


class UnusableWorker:
    """Replaces the worker classes if they cannot be defined. Gunicorn calls its ``setup()`` at start."""

    @classmethod
    def configure(cls, **settings: object) -> type[UnusableWorker]:
        """Ignore *settings*. An exception in a configuration file would be reported with a traceback."""
        return cls

    @classmethod
    def setup(cls) -> None:
        """Report why no worker can serve.

        :raises RequirementError: always
        """
        finding = incompatible(Feature.SERVING)
        assert finding is not None
        raise RequirementError(finding)


def _finding(feature: Feature, different: tuple[str, ...]) -> Finding | None:
    if not different:
        return None
    more = len(different) - MAX_NAMED
    listed = ", ".join(different[:MAX_NAMED]) + (f", and {more} more" if more > 0 else "")
    return Finding(
        "gunicorn-incompatible", f"{feature.state} because Gunicorn {VERSION} {listed}", feature.loss,
        f"Upgrade gworkers, or install a release of Gunicorn that it was tested with: {PIN}",
        fatal=feature is Feature.SERVING)


def _untested() -> list[Finding]:
    if RELEASE <= TESTED:
        return []
    return [Finding(
        "gunicorn-untested", f"Gunicorn {VERSION} is newer than {format_version(TESTED)}, the newest release that "
        "gworkers was tested with", "its reloads, signals or parser may behave differently",
        f"Upgrade gworkers, test reloads before you deploy, or {PIN}")]
