"""All checks of the libraries that an application has imported."""
from __future__ import annotations

from gworkers.checks import cancellation, drivers, engineio
from gworkers.findings import Finding
from gworkers.settings import Settings


def check(library: str, settings: Settings, reported: set[str]) -> list[Finding]:
    """Return findings about imported libraries, in a worker that runs on *library*.

    :param reported: modules that were reported before; new ones are added
    """
    return [*drivers.check(library, reported), *engineio.check(library, reported),
            *cancellation.check(settings, reported)]
