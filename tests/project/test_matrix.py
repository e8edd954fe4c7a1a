"""Which tests ``--matrix=pairwise`` selects."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

import pytest

from support.matrix import is_on_a_combination, select

HUBS, TRANSPORTS, PARSERS = ("gevent", "eventlet"), ("tcp", "unix"), ("fast", "python")


class Item:
    """As much of a test as the selection looks at."""

    def __init__(self, name: str, params: dict[str, Any], marks: dict[str, tuple[int, ...]]) -> None:
        self.nodeid = f"{name}[{'-'.join(map(str, params.values()))}]"
        self.callspec = SimpleNamespace(params=params)
        self.marks = marks

    def get_closest_marker(self, name: str) -> Any:
        return SimpleNamespace(args=self.marks[name]) if name in self.marks else None


def everywhere(name: str, cases: Iterable[Any] = ("case",), hubs: Iterable[str] = HUBS,
               **marks: tuple[int, ...]) -> list[Any]:
    """A test with these cases on each combination."""
    return [Item(name, {"hub": hub, "case": case, "transport": transport, "parser": parser}, marks)
            for hub, case, transport, parser in product(hubs, cases, TRANSPORTS, PARSERS)]


def selected(items: list[Any]) -> list[dict[str, Any]]:
    chosen, others = select(items)
    assert sorted([*chosen, *others], key=items.index) == items
    assert sorted(chosen, key=items.index) == chosen
    return [item.callspec.params for item in chosen]  # type: ignore[attr-defined]


def test_each_case_runs_once() -> None:
    params = selected(everywhere("m::test_a", range(20)) + everywhere("m::test_b"))
    assert sorted(str(one["case"]) for one in params) == sorted([*map(str, range(20)), "case"])


@pytest.mark.parametrize("count", range(6, 30))
def test_all_pairs_of_values_occur_in_a_module(count: int) -> None:
    params = selected([item for number in range(count) for item in everywhere(f"m::test_{number}")])
    dimensions = {"hub": HUBS, "transport": TRANSPORTS, "parser": PARSERS}
    for (name, values), (other, others) in combinations(dimensions.items(), 2):
        assert {(one[name], one[other]) for one in params} == set(product(values, others))


@pytest.mark.parametrize("count", [2, 9, 20])
def test_values_occur_equally_often(count: int) -> None:
    params = selected([item for number in range(count) for item in everywhere(f"m::test_{number}")])
    for name in ("hub", "transport", "parser"):
        seen = [one[name] for one in params]
        assert max(map(seen.count, seen)) <= count / 2 + 1


def test_a_restricted_test_keeps_its_only_combination() -> None:
    only = [Item("m::test_a", {"hub": "eventlet", "transport": "tcp", "parser": "fast"}, {})]
    assert selected(only) == [only[0].callspec.params]


def test_choice_does_not_depend_on_the_order() -> None:
    items = [item for number in range(9) for item in everywhere(f"m::test_{number}", range(3))]
    forwards, backwards = select(items)[0], select(items[::-1])[0]
    assert forwards == backwards[::-1]


def test_one_hub_is_enough() -> None:
    params = selected([item for number in range(6) for item in everywhere(f"m::test_{number}", hubs=["gevent"])])
    assert len(params) == 6
    assert {(one["transport"], one["parser"]) for one in params} == set(product(TRANSPORTS, PARSERS))


def test_mark_every_hub() -> None:
    params = selected(everywhere("m::test_a", range(3), every_hub=()))
    assert sorted((one["case"], one["hub"]) for one in params) == sorted(product(range(3), HUBS))


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (20, [*range(10)])])
def test_mark_sample(count: int, kept: list[int]) -> None:
    assert sorted(one["case"] for one in selected(everywhere("m::test_a", range(10), sample=(count,)))) == kept


def test_mark_full() -> None:
    assert selected(everywhere("m::test_a", full=())) == []


def test_parameter_that_is_called_like_a_dimension() -> None:
    items: list[Any] = [Item("m::test_a", {"form": form}, {}) for form in ([1], [2])]
    assert selected(items) == [{"form": [1]}, {"form": [2]}]


def test_only_tests_on_a_combination_are_left_out_of_the_rest() -> None:
    items = [*everywhere("m::test_a"), Item("m::test_b", {"case": "hub"}, {})]
    assert [is_on_a_combination(item) for item in items] == [True] * (len(items) - 1) + [False]
