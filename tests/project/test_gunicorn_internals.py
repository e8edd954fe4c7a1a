"""What gworkers needs of Gunicorn's internals is declared, and compared with the installed Gunicorn."""

from __future__ import annotations

import dis
import functools
import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from time import process_time
from types import SimpleNamespace
from typing import Any

import gunicorn
import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.http.message import Request
from gunicorn.workers.base import Worker

from gworkers import gunicorn_compat, gunicorn_differences
from gworkers.gunicorn_internals import ARBITER, NEEDS, TESTED, Feature, Need
from support.gunicorn_uses import Use, uses
from support.paths import ROOT

pytestmark = pytest.mark.smoke

#: Seconds of CPU time that the comparison may take at start.
LIMIT = 0.005


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for function in (gunicorn_differences.differences, gunicorn_differences._assigned, gunicorn_differences._settings):
        function.cache_clear()


# The declaration and the source


def names(need: Need) -> list[str]:
    return [*need.names.split(), *need.calls, *need.overrides]


@pytest.fixture(scope="module")
def found() -> set[Use]:
    declared = defaultdict(set)
    for need in NEEDS:
        declared[need.owner].update(names(need))
    return uses(declared)


def test_every_use_is_declared(found: set[Use]) -> None:
    owners = {need.owner for need in NEEDS}
    declared = {Use(need.owner, name, place)
                for need in NEEDS for name in names(need) for place in need.used_in.split()}
    # A class that is only the owner of other names needs no entry of its own.
    assert not sorted(use for use in found - declared if f"{use.owner}:{use.name}" not in owners)


def test_every_declared_name_is_used(found: set[Use]) -> None:
    used = defaultdict(set)
    for use in found:
        used[use.owner, use.name].add(use.place)
    assert not [(need.owner, name) for need in NEEDS for name in names(need)
                if not used[need.owner, name].intersection(need.used_in.split())]
    assert not [(need.owner, place) for need in NEEDS for place in need.used_in.split()
                if names(need) and not any(place in used[need.owner, name] for name in names(need))]


# The declaration and the installed Gunicorn


@pytest.mark.parametrize("feature", Feature)
def test_installed_release_has_all(feature: Feature) -> None:
    assert gunicorn_differences.differences(feature) == ()


@pytest.mark.parametrize("feature", Feature)
def test_page_says_what_is_off(feature: Feature) -> None:
    page = (ROOT / "docs" / "checks.md").read_text().partition("## gunicorn-incompatible\n")[2].partition("\n## ")[0]
    part = re.sub(r" (is|are) off$", "", feature.state)
    assert re.search(rf"^\| {re.escape(part)} \| \S", page, re.MULTILINE | re.IGNORECASE)


def test_newest_tested_release_is_installed_at_most() -> None:
    assert gunicorn_compat.check() == []


def test_comparison_is_fast() -> None:
    def seconds() -> float:
        forget()
        start = process_time()
        gunicorn_compat.check()
        return process_time() - start

    assert min(seconds() for _ in range(5)) < LIMIT


@pytest.mark.parametrize("release", ["99.0.0", "99.0.0rc1"])
def test_newer_release_is_untested(monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    monkeypatch.setattr(gunicorn_compat, "VERSION", release)
    monkeypatch.setattr(gunicorn_compat, "RELEASE", (99, 0, 0))
    (finding,) = [finding for finding in gunicorn_compat.check() if finding.code == "gunicorn-untested"]
    assert (f"Gunicorn {release} is newer" in finding.problem, finding.fatal) == (True, False)


# What is taken away


class Sample:
    """Stands for a class of Gunicorn's."""

    constant = 1

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def stop(self, graceful: bool = True, *, now: bool = False) -> None:
        self.kill()

    def kill(self, pid: int = 0) -> None: ...


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """``sample(names=...)``: the differences of a declaration of :class:`Sample`'s."""
    monkeypatch.setattr(gunicorn, "Sample", Sample, raising=False)
    monkeypatch.setattr(gunicorn_differences, "_code", lambda function: getattr(function, "__code__", None))

    def differences(owner: str = "gunicorn:Sample", **declared: Any) -> tuple[str, ...]:
        forget()
        monkeypatch.setattr(gunicorn_differences, "NEEDS", (Need(owner, Feature.ADVICE, "", **declared),))
        return gunicorn_differences.differences(Feature.ADVICE)

    return differences


@pytest.mark.parametrize(("declared", "difference"), [
    ({"names": "constant cfg kill"}, None),
    ({"names": "constants"}, "has no gunicorn:Sample.constants"),
    ({"calls": {"stop": "self"}}, None),
    ({"calls": {"stop": "self graceful="}}, None),
    ({"calls": {"stop": "self gracefully="}}, "has other parameters of gunicorn:Sample.stop"),
    ({"calls": {"__init__": "self"}}, "has other parameters of gunicorn:Sample.__init__"),
    ({"calls": {"halt": "self"}}, "has no gunicorn:Sample.halt"),
    ({"overrides": {"kill": "self pid="}}, None),
    ({"overrides": {"kill": "self pid"}}, "has other parameters of gunicorn:Sample.kill"),
    ({"overrides": {"kill": "self"}}, "has other parameters of gunicorn:Sample.kill"),
    ({"overrides": {"stop": "self graceful="}}, "has other parameters of gunicorn:Sample.stop"),
    ({"relies": {"stop": "kill"}}, None),
    ({"relies": {"*": "kill"}}, None),
    ({"relies": {"__init__": "kill"}}, "does not use kill in gunicorn:Sample.__init__"),
    ({"relies": {"*": "reap"}}, "does not use reap in gunicorn:Sample.*"),
    ({"owner": "gunicorn:Other", "names": "a b"}, "has no gunicorn:Other"),
    ({"owner": "gunicorn.other", "names": "a"}, "has no gunicorn.other"),
    ({"names": "constants", "until": TESTED}, None),
    ({"names": "constants", "since": (99,)}, None),
])
def test_difference(sample: Callable[..., tuple[str, ...]], declared: dict[str, Any], difference: str | None) -> None:
    if declared.get("until") == TESTED and gunicorn_differences.RELEASE != TESTED:
        pytest.skip("about the newest release")
    assert sample(**declared) == (() if difference is None else (difference,))


def test_assigned_attributes_are_those_that_dis_shows() -> None:
    names = [f"name{number}" for number in range(300)]
    made: dict[str, Any] = {}
    exec("def many(self):\n" + "\n".join(f"  self.{name} = 1" for name in names), made)
    functions = [made["many"], *(method for cls in (Arbiter, Request, Worker) for method in vars(cls).values()
                                 if inspect.isfunction(method))]
    for function in functions:
        expected = [step.argval for step in dis.get_instructions(function) if step.opname == "STORE_ATTR"]
        assert list(gunicorn_differences._assigned_in(function.__code__)) == expected


def test_instance_without_an_attribute() -> None:
    arbiter = SimpleNamespace(**dict.fromkeys(
        [name for need in NEEDS if need.owner == ARBITER for name in need.names.split()]))
    assert gunicorn_compat.check_instance(Feature.MANAGED_RELOADS, ARBITER, arbiter) is None
    del arbiter.pid
    finding = gunicorn_compat.check_instance(Feature.MANAGED_RELOADS, ARBITER, arbiter)
    assert finding is not None
    assert finding.problem.endswith(" has no gunicorn.arbiter:Arbiter.pid")


def test_method_that_another_library_has_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Arbiter.reload

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    monkeypatch.setattr(Arbiter, "reload", wrapped)
    monkeypatch.setattr(Arbiter, "stop", lambda *args: None)
    assert gunicorn_compat.works(Feature.MANAGED_RELOADS)


def test_missing_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Arbiter, "reload")
    (finding,) = gunicorn_compat.check()
    assert (finding.code, finding.fatal) == ("gunicorn-incompatible", False)
    assert finding.problem == (f"Managed reloads are off because Gunicorn {gunicorn.__version__} has no "
                               "gunicorn.arbiter:Arbiter.reload")


def test_missing_worker_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("gunicorn.workers.base.Worker")
    assert [(finding.problem.partition(" because")[0], finding.fatal) for finding in gunicorn_compat.check()
            if finding.fatal] == [("Workers cannot start", True)]


def test_optional() -> None:
    assert gunicorn_compat.optional("gunicorn.arbiter:Arbiter.WORKER_BOOT_ERROR", 0) == 3
    assert gunicorn_compat.optional("gunicorn.arbiter:Arbiter.NO_ERROR", 0) == 0
    assert gunicorn_compat.optional("gunicorn.nothing:name", ()) == ()
