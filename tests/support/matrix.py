"""Which combinations of hub, transport, parser and form each case of a test runs on.

A case is a test function with its own parameters. ``--matrix=full`` runs each case on every combination.
``--matrix=pairwise`` runs it on one, chosen so that each pair of values occurs in a module if its tests allow it.
The choice depends on the tests of the module only, so it is the same in each process and on each machine.
``--matrix=rest`` runs what ``full`` runs and ``pairwise`` leaves out.

Marks of a test, which only pairwise selection regards:

``every_hub``: one combination for each hub instead of one.
``sample(count)``: this many of its parametrized cases, evenly spaced.
``full``: none.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from typing import Any, NamedTuple

import pytest

DIMENSIONS = ("hub", "transport", "parser", "form")

#: A test function of a module, and what distinguishes its parameters' values from those of other cases.
Function = str
Case = tuple[Function, tuple[Any, ...]]


class Candidate(NamedTuple):
    """One test as pytest would run it.

    Attributes:
        name: its node id.
        values: its value in each dimension that it has.
    """

    name: str
    values: tuple[tuple[str, str], ...]


def select(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Divide the tests into those to run pairwise, in the order given, and the others."""
    cases: dict[str, dict[Case, list[Candidate]]] = {}
    for item in items:
        if item.get_closest_marker("full") is None:
            module = item.nodeid.partition("::")[0]
            cases.setdefault(module, {}).setdefault(_case(item), []).append(_candidate(item))
    unwanted = _beyond_the_samples(items)
    chosen = set()
    for of_module in cases.values():
        chosen |= choose([candidates for case, candidates in of_module.items() if case not in unwanted])
    return [item for item in items if item.nodeid in chosen], [item for item in items if item.nodeid not in chosen]


def is_on_a_combination(item: pytest.Item) -> bool:
    """Whether the test depends on a hub, a transport, a parser or a form."""
    return bool(_candidate(item).values)


def choose(cases: Iterable[list[Candidate]]) -> set[str]:
    """The name of one candidate of each case, so that as many pairs of values as possible occur."""
    chosen = set()
    seen: Counter[tuple[tuple[str, str], ...]] = Counter()
    combinations_used: Counter[tuple[tuple[str, str], ...]] = Counter()

    def cost(candidate: Candidate) -> tuple[int, bool, int, int, str]:
        pairs, uses = _pairs(candidate), combinations_used[candidate.values]
        # Few combinations, each for many tests: then these can share servers.
        return (-sum(not seen[pair] for pair in pairs), not uses, uses, sum(seen[pair] for pair in pairs),
                _digest(candidate.name))

    # Those with the least choice first, so that the others can add what is still missing.
    for candidates in sorted(cases, key=lambda case: (len(case), _digest(min(case).name))):
        best = min(candidates, key=cost)
        seen.update(_pairs(best))
        combinations_used[best.values] += 1
        chosen.add(best.name)
    return chosen


def _pairs(candidate: Candidate) -> list[tuple[tuple[str, str], ...]]:
    """Each value alone too, for tests that vary in one dimension only."""
    return [*combinations(candidate.values, 1), *combinations(candidate.values, 2)]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _candidate(item: pytest.Item) -> Candidate:
    varying = [(name, value) for name, value in _parameters(item).items() if _varies(name, value)]
    return Candidate(item.nodeid, tuple(varying))


def _case(item: pytest.Item) -> Case:
    # The values themselves may be unhashable; the tests of one case share them.
    own = sorted((name, id(value)) for name, value in _parameters(item).items() if not _varies(name, value))
    hub = _parameters(item).get("hub") if item.get_closest_marker("every_hub") else None
    return _function(item), (*own, hub)


def _function(item: pytest.Item) -> Function:
    return item.nodeid.partition("[")[0]


def _parameters(item: pytest.Item) -> dict[str, Any]:
    """In the order of their names, which is the same for each test."""
    return dict(sorted(item.callspec.params.items())) if hasattr(item, "callspec") else {}


def _varies(name: str, value: object) -> bool:
    """Whether this is the fixture of that name, not a parameter of a test that happens to be called the same."""
    return name in DIMENSIONS and isinstance(value, str)


def _beyond_the_samples(items: list[pytest.Item]) -> set[Case]:
    """The cases that a mark ``sample`` leaves out."""
    sampled: dict[Function, dict[Case, None]] = {}
    counts: dict[Function, int] = {}
    for item in items:
        mark = item.get_closest_marker("sample")
        if mark is not None:
            counts[_function(item)] = mark.args[0]
            sampled.setdefault(_function(item), {})[_case(item)] = None
    return {case for function, cases in sampled.items()
            for case in cases.keys() - set(spaced(list(cases), counts[function]))}


def spaced(cases: list[Case], count: int) -> list[Case]:
    """The first case, the last one, and evenly spaced ones between."""
    if count >= len(cases):
        return cases
    return [cases[number * (len(cases) - 1) // max(count - 1, 1)] for number in range(count)]
