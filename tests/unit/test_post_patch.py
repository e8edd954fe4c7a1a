"""The arguments of the function in the setting ``post_patch``."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import pytest

from gworkers.worker import post_patch

pytestmark = pytest.mark.smoke

#: A stand-in for a worker. It is iterable, for built-in functions.
WORKER = ("worker",)
#: The result of a function that was called without an argument.
NOTHING = "nothing"


def takes_none() -> str:
    return NOTHING


def takes_one(whatever: Any) -> Any:
    return whatever


def takes_one_by_position(whatever: Any, /) -> Any:
    return whatever


def takes_one_and_more(whatever: Any, verbose: bool = False) -> Any:
    return verbose or whatever


def takes_worker_optionally(worker: Any = NOTHING) -> Any:
    return worker


def takes_worker_among_others(verbose: bool = False, worker: Any = NOTHING) -> Any:
    return verbose or worker


def takes_worker_by_keyword(*, worker: Any) -> Any:
    return worker


def takes_something_optionally(config_file: Any = NOTHING) -> Any:
    return config_file


def takes_something_by_keyword(*, verbose: Any = NOTHING) -> Any:
    return verbose


def takes_keywords(**on: Any) -> Any:
    return on or NOTHING


def takes_whatever_comes(*args: Any) -> Any:
    (given,) = args
    return given


def takes_all(*args: Any, **keywords: Any) -> Any:
    (given,) = args
    return keywords or given


@functools.wraps(takes_one)
def wraps_one(*args: Any) -> Any:
    return takes_one(*args)


@functools.wraps(takes_none)
def wraps_none(*args: Any) -> Any:
    return takes_none(*args)


class Callables:
    def __call__(self, worker: Any) -> Any:
        return worker

    def method(self, worker: Any) -> Any:
        return worker

    def without(self) -> str:
        return NOTHING

    @classmethod
    def of_class(cls, worker: Any) -> Any:
        return worker

    @staticmethod
    def of_none() -> str:
        return NOTHING


class CalledWithout:
    def __call__(self) -> str:
        return NOTHING


class Made:
    def __init__(self, worker: Any) -> None:
        self.worker = worker

    def __eq__(self, other: object) -> bool:
        return self.worker == other

    def __hash__(self) -> int:
        return 0


GIVEN: list[Callable[..., Any]] = [
    takes_one, takes_one_by_position, takes_one_and_more, takes_worker_optionally, takes_worker_among_others,
    takes_worker_by_keyword, takes_whatever_comes, takes_all, wraps_one, Callables(), Callables().method,
    Callables.of_class, Made, functools.partial(takes_one_and_more, verbose=False)]
NOT_GIVEN: list[Callable[..., Any]] = [
    takes_none, takes_something_optionally, takes_something_by_keyword, takes_keywords, wraps_none,
    Callables().without, Callables.of_none, CalledWithout(), functools.partial(takes_one, NOTHING)]


def name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


@pytest.mark.parametrize("function", GIVEN, ids=name)
def test_function_with_a_suitable_parameter_receives_the_worker(function: Callable[..., Any]) -> None:
    assert post_patch.call(function, WORKER) == WORKER


@pytest.mark.parametrize("function", NOT_GIVEN, ids=name)
def test_function_without_a_suitable_parameter_receives_no_argument(function: Callable[..., Any]) -> None:
    assert post_patch.call(function, WORKER) == NOTHING


# Functions without a signature


def test_builtin_functions_are_called() -> None:
    assert isinstance(post_patch.call(time.time, WORKER), float)
    assert list(post_patch.call(iter, WORKER)) == ["worker"]
    assert post_patch.call(int, WORKER) == 0


def without_signature(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like a function whose annotations cannot be evaluated: ``inspect.signature()`` raises an exception."""
    function.__signature__ = "without_signature"  # type: ignore[attr-defined]
    return function


def test_function_without_a_signature_is_called() -> None:
    assert post_patch.call(without_signature(lambda: NOTHING), WORKER) == NOTHING
    assert post_patch.call(without_signature(lambda worker: worker), WORKER) == WORKER


def test_raising_function_without_a_signature_is_called_once() -> None:
    calls = []

    @without_signature
    def fail(*args: Any) -> None:
        calls.append(args)
        raise TypeError("deliberate")

    with pytest.raises(TypeError, match="deliberate"):
        post_patch.call(fail, WORKER)
    assert calls == [()]


def test_function_with_two_required_parameters_raises_a_type_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'database'"):
        post_patch.call(lambda worker, database: None, WORKER)
