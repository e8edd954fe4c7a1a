"""``gworkers doctor`` on simulated runtimes that a worker must refuse. test_runtimes.py installs real ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.findings import CODES
from support.broken_installs import SHARING, UNMEASURED, at_start, bare, release, unimportable, without_extensions
from support.doctor_run import DoctorRun, Run

on_cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="greenlet is part of PyPy")

OLD_GREENLET = "import greenlet\ngreenlet.__version__ = '0.4.17'\n"
OLD_PYPY = "import sys\nsys.pypy_version_info = (7, 3, 6, 'final', 0)\n"

Made = Callable[[Path, str], str]

#: by code: a function that creates such a runtime, and a part of the finding
RUNTIMES: dict[str, tuple[Made, str]] = {
    "contexts-shared": (lambda place, hub: at_start(place, SHARING), "does not isolate the context variables"),
    "greenlet-broken": (lambda place, hub: without_extensions(place, "greenlet"), "greenlet/__init__.py"),
    "greenlet-old": (lambda place, hub: at_start(place, OLD_GREENLET), "greenlet 0.4.17"),
    "library-broken": (lambda place, hub: LOSE[hub](place, hub), " is installed but does not work "),
    "library-old": (lambda place, hub: release(place, hub, "0.1"), " 0.1 is older than "),
    "pypy-old": (lambda place, hub: at_start(place, OLD_PYPY), "PyPy 7.3.6"),
}
LOSE: dict[str, Made] = {"gevent": without_extensions, "eventlet": unimportable}
#: by code: the packages that are installed besides Gunicorn
BARE: dict[str, tuple[str, ...]] = {"library-missing": ("greenlet",), "greenlet-missing": ()}

PARAMETERS = [pytest.param(code, marks=on_cpython) if code in ("contexts-shared", "greenlet-broken", "greenlet-old")
              else code for code in RUNTIMES]


def stopped(result: DoctorRun, code: str) -> str:
    """The problem of a fatal finding, after checking that no worker was tried."""
    assert result.status == 1
    assert result.report["hub"] is None
    assert result.report["patched"] is None
    finding = result.finding(code)
    assert finding["fatal"]
    assert "loaded" not in result.err
    return str(finding["problem"])


@pytest.mark.parametrize("code", PARAMETERS)
def test_unsuitable_runtime_is_reported_before_the_application_is_loaded(
        ask: Run, place: Path, hub: str, code: str) -> None:
    make, expected = RUNTIMES[code]
    result = ask(hub=hub, env={"PYTHONPATH": make(place, hub), **UNMEASURED}, app="print('loaded')\n")
    assert expected in stopped(result, code)
    assert result.err == ""


@on_cpython
@pytest.mark.parametrize("code", BARE)
def test_missing_package_is_reported(ask: Run, place: Path, hub: str, code: str) -> None:
    env = {"PYTHONPATH": bare(place, *BARE[code]), **UNMEASURED}
    result = ask(hub=hub, env=env, command=("-S", "-m", "gworkers"), app="print('loaded')\n")
    missing = hub if code == "library-missing" else "greenlet"
    assert stopped(result, code) == f"{missing} is not installed"


def test_invalid_library_variable_is_reported(ask: Run, hub: str) -> None:
    variable = {"gevent": "GEVENT_RESOLVER", "eventlet": "EVENTLET_HUB"}[hub]
    result = ask(hub=hub, env={variable: "nope"}, app="print('loaded')\n")
    assert "nope" in stopped(result, "library-broken")
    assert variable in result.finding("library-broken")["fix"]


def test_incompatible_release_is_a_warning(ask: Run, place: Path, hub: str) -> None:
    release(place, hub, {"gevent": "26.4.0", "eventlet": "0.41.1"}[hub])
    result = ask(hub=hub, env={"PYTHONPATH": at_start(place, "import greenlet\ngreenlet.__version__ = '3.5.1'\n")})
    assert result.status == 0
    assert not result.finding("library-incompatible")["fatal"]
    assert result.report["hub"] is not None


def test_each_requirement_has_a_test() -> None:
    provoked = {*RUNTIMES, *BARE, "library-incompatible"}
    assert {code for code in CODES if code.startswith(("greenlet-", "library-", "pypy-", "contexts-"))} == provoked
