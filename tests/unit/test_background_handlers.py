"""Handlers of background work: their names, their arguments, and the errors at decoration."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest

from gworkers import background
from gworkers.background import extra
from gworkers.background.registry import Registry
from gworkers.error_text import location

pytestmark = pytest.mark.smoke


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> Registry:
    own = Registry()
    monkeypatch.setattr(background, "REGISTRY", own)
    return own


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module with one timer."""
    (tmp_path / "timed.py").write_text(
        "from gworkers import background\n@background.timer(1)\ndef tick():\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("timed")
    sys.modules.pop("timed", None)


def job() -> None:
    """Do nothing."""


def test_decorated_function_stays_as_it_is(handlers: Registry) -> None:
    assert background.timer(1)(job) is job
    handler, = handlers.handlers()
    assert handler.name == f"{__name__}:job"
    assert (handler.worker, handler.overlap) == ("one", False)


@pytest.mark.parametrize("seconds", [0, -1, 0.001, float("nan"), float("inf"), "60", None])
def test_invalid_period_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match="a timer needs a period of at least"):
        background.timer(seconds)


@pytest.mark.parametrize("worker", [0, -1, "all", True, 1.5, None])
def test_invalid_worker_is_refused(worker: Any) -> None:
    with pytest.raises(ValueError, match="worker must be 'one', 'every' or the number of a worker"):
        background.timer(1, worker=worker)(job)


def test_coroutine_function_is_refused() -> None:
    async def coroutine() -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="coroutine function, which nothing would await"):
        background.timer(1)(coroutine)


class Stock:
    """An object with methods that are handlers."""

    def check(self) -> None:
        """Do nothing."""

    def update(self, item: object) -> None:
        """Do nothing."""


def numbered(signum: int) -> None:
    """Take the number of a signal, as a function for uWSGI does."""


@pytest.mark.parametrize("decorator", [background.timer(1), background.signal("stock")], ids=["timer", "signal"])
@pytest.mark.parametrize("function", [lambda one, two: None, lambda *, one: None], ids=["two", "keyword"])
def test_function_with_other_parameters_is_refused(decorator: Any, function: Any) -> None:
    with pytest.raises(TypeError, match="cannot be called: "):
        decorator(function)


def test_parameter_of_a_timer_is_named() -> None:
    with pytest.raises(TypeError, match=r"numbered cannot be called: .*'signum'\. A function for "
                                        r"background\.timer has no parameters"):
        background.timer(1)(numbered)
    with pytest.raises(TypeError, match=r"A function for background\.signal has one parameter, the payload"):
        background.signal("stock")(job)


def test_function_that_can_be_called_is_accepted(handlers: Registry) -> None:
    background.timer(1)(Stock().check)
    background.signal("stock")(Stock().update)
    background.timer(1, name="default")(lambda item=None: None)
    background.timer(1, name="partial")(partial(numbered, 1))
    background.timer(1, name="wrapped")(wraps(numbered)(lambda *arguments: numbered(1)))
    assert len(handlers) == 5


def test_decorator_without_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="a timer needs a period"):
        background.timer(job)  # type: ignore[arg-type]


def test_object_without_a_name_needs_one(handlers: Registry) -> None:
    with pytest.raises(ValueError, match="Pass name="):
        background.timer(1)(partial(job))
    background.timer(1, name="partial job")(partial(job))
    assert [handler.name for handler in handlers.handlers()] == ["partial job"]


def test_second_handler_of_a_name_is_refused() -> None:
    for name in (None, "other"):
        background.timer(1, name=name)(lambda: None)
        with pytest.raises(ValueError, match="two background handlers have the name"):
            background.timer(2, name=name)(lambda: None)


def test_reloaded_module_replaces_its_handlers(handlers: Registry, module: Any) -> None:
    before, = handlers.handlers()
    importlib.reload(module)
    after, = handlers.handlers()
    assert after.function is module.tick is not before.function
    assert after.key == before.key


def test_module_that_is_imported_under_two_names_is_refused(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("package.timed", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ValueError, match="was imported under two module names, and it would run twice"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_key_depends_on_kind_name_and_worker(handlers: Registry) -> None:
    background.timer(1)(job)
    background.timer(1, name="other")(job)
    background.signal("job", name="signal")(print)
    background.timer(1, name="second", worker=2)(job)
    assert len({handler.key for handler in handlers.handlers()}) == 4


def test_handlers_know_their_workers(handlers: Registry) -> None:
    background.timer(1, name="one")(job)
    background.timer(1, name="every", worker="every")(job)
    background.timer(1, name="second", worker=2)(job)
    assert [[handler.name for handler in handlers.handlers() if handler.runs_in(number)] for number in (1, 2)] == [
        ["one", "every"], ["one", "every", "second"]]


@pytest.mark.parametrize("name", ["", None, 5])
def test_signal_without_a_name_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="a signal needs a name"):
        background.signal(name)


@pytest.mark.parametrize(("payload", "error", "text"), [
    (object(), TypeError, "must be JSON"), ("x" * 65535, ValueError, "65537 bytes as JSON, the most are 65536"),
    (b"bytes", TypeError, "must be JSON")])
def test_invalid_payload_is_refused(payload: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        background.send("job", payload)


def test_payload_that_is_nested_too_deeply_is_refused() -> None:
    payload: list[Any] = []
    for _ in range(100_000):
        payload = [payload]
    with pytest.raises(TypeError, match="must be JSON"):
        background.send("job", payload)


@pytest.mark.parametrize("name", ["other", "", None, 5, ["job"]])
def test_other_names_are_no_signals(handlers: Registry, name: Any) -> None:
    background.timer(1)(job)
    background.signal("job", name="second")(lambda payload: None)
    assert handlers.has_signal("job")
    assert not handlers.has_signal(name)


@pytest.mark.parametrize("function", [lambda: background.spawn(job), lambda: background.send("job")])
def test_functions_need_a_worker(function: Any) -> None:
    with pytest.raises(RuntimeError, match="works in a gworkers worker that has started to serve, not while"):
        function()


def test_unknown_server_is_an_error() -> None:
    with pytest.raises(background.SendError, match="no gworkers worker was found"):
        # Not 1: init adopts the workers of a master that was killed.
        background.send("job", server=os.getpid())


def test_missing_library_is_named_at_decoration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    for function, library in ((lambda: background.cron("* * * * *"), "cronsim"),
                              (lambda: background.on_file_change(tmp_path), "watchfiles")):
        advice = rf"needs the package {library}: pip install 'gworkers\[background\]'"
        with pytest.raises(ImportError, match=advice) as raised:
            function()
        assert location(raised.value).startswith(f"{__file__}:")


def test_directory_of_a_watched_file_must_exist(tmp_path: Path) -> None:
    pytest.importorskip("watchfiles")
    background.on_file_change(tmp_path / "file")(job)
    with pytest.raises(ValueError, match="its directory does not exist"):
        background.on_file_change(tmp_path / "missing" / "file")


@pytest.mark.parametrize(("expression", "text"), [
    ("* * * *", "Wrong number of fields"), ("61 * * * *", "Bad minute"), ("", "Wrong number of fields"),
    (5, "has no attribute"), ("0 0 31 2 *", "invalid|matches no time")])
def test_invalid_cron_expression_is_refused(expression: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        background.cron(expression)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../etc/passwd", "/etc/passwd"])
def test_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match=r"the time zone .* is unknown"):
        background.cron("* * * * *", tz=zone)


def test_import_loads_no_hub_and_no_optional_library() -> None:
    code = ("import sys\nfrom gworkers import background\n@background.timer(1)\ndef job(): pass\n"
            "print(sorted({'gevent', 'eventlet', 'greenlet', 'cronsim', 'watchfiles'} & set(sys.modules)))")
    # coverage imports greenlet.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
