"""The comparison of the verdicts on a case, and campaigns of many cases."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import gunicorn

from .cases import Case, make_case
from .corpus import SETTINGS
from .verdicts import (
    ACCEPTED,
    REFUSED,
    UNFINISHED,
    Verdict,
    configuration,
    gunicorn_verdict,
    gworkers_verdict,
    invalid_lines,
    primed_parser,
    python_parser,
    trusts,
    warm_parser,
)

#: gworkers agrees with this release of Gunicorn. verdicts.txt covers the older ones.
NEWEST = tuple(map(int, gunicorn.__version__.split(".")[:2])) >= (27, 0)


def disagreements(case: Case) -> Iterator[str]:
    """Yield a description of each disagreement between the parsers of *case*."""
    warm, primed = warm_parser(case.settings), primed_parser(case)
    python = python_parser(case.settings)
    whole = gworkers_verdict(case, [case.data], python)
    for name, parser in (("warm", warm), ("primed", primed)):
        fast = gworkers_verdict(case, [case.data], parser)
        if fast != whole:
            yield f"fast, {name}: {fast}\nnot fast: {whole}"
    if invalid := invalid_lines(primed):
        yield f"remembered: {invalid}"
    if NEWEST:
        theirs = gunicorn_verdict(case, [case.data])
        if not _agree(case, whole, theirs):
            yield f"gworkers: {whole}\nGunicorn: {theirs}"
    if case.cuts:
        parts_theirs = gunicorn_verdict(case, case.pieces) if NEWEST else None
        for name, parser in (("fast", warm), ("not fast", python)):
            parts = gworkers_verdict(case, case.pieces, parser)
            if not _agree_in_pieces(parts, whole, parts_theirs):
                yield (f"in pieces, {name}: {parts}\nwhole: {whole}\n"
                       f"Gunicorn in pieces: {parts_theirs}")


def _agree(case: Case, ours: Verdict, theirs: Verdict) -> bool:
    if (ours.outcome, theirs.outcome) == (REFUSED, UNFINISHED):
        # Gunicorn checks the size of an unfinished head only when more data arrives.
        return gunicorn_verdict(case, [case.data, b"."])[:3] == ours[:3]
    if ours[:4] != theirs[:4]:
        return False
    return _bodies_agree(ours.body, theirs.body) and ours.rest == theirs.rest


def _bodies_agree(ours: tuple, theirs: tuple) -> bool:
    # If there are several faults, including the end of the data, parsers may report different ones first.
    return ours == theirs or {*ours[:1], *theirs[:1]} <= {REFUSED, UNFINISHED}


def _agree_in_pieces(parts: Verdict, whole: Verdict, theirs: Verdict | None) -> bool:
    if parts.outcome == REFUSED:
        # In an unfinished head, a bare LF (400) and the size (431) may be found before earlier faults.
        refusals = [verdict for verdict in (whole, theirs) if verdict is not None and verdict.outcome == REFUSED]
        # So may the size of the request line (414), which only the newest Gunicorn confirms.
        early = (400, 431) if NEWEST else (400, 414, 431)
        return any(parts.status in (verdict.status, *early) for verdict in refusals)
    if parts[:4] != whole[:4]:
        return False
    return parts.outcome != ACCEPTED or (_bodies_agree(parts.body, whole.body) and parts.rest == whole.rest)


def shorten(text: str) -> str:
    """Abbreviate long runs in *text*."""
    return re.sub(r"([a-z])\1{40,}", lambda match: f"<{match[1]} x {len(match[0])}>", text)


class Campaign:
    """Runs cases and counts their results."""

    def __init__(self) -> None:
        self.cases = 0
        self.outcomes: Counter[str] = Counter()
        self.accepted = 0
        self.fast = 0
        #: the first disagreements, to be shown
        self.found: list[str] = []
        self.disagreeing = 0

    def run(self, seed: int, indices: Iterable[int]) -> None:
        for index in indices:
            self.check(make_case(seed, index), f"--seed {seed} --first {index} --cases 1")
        for settings in SETTINGS:
            if configuration(settings) is not None and (invalid := invalid_lines(warm_parser(settings))):
                self.disagreeing += 1
                self.found.append(f"--seed {seed}, {settings}, up to {self.cases} cases: remembered {invalid}")

    def check(self, case: Case, name: str) -> None:
        if configuration(case.settings) is None:
            return
        self.cases += 1
        try:
            found = list(disagreements(case))
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        if found:
            self.disagreeing += 1
            if len(self.found) < 20:
                self.found.append("\n".join(map(shorten, (name, repr(case), *found[0].split("\n")))))
            return
        verdict = gworkers_verdict(case, [case.data], python_parser(case.settings))
        self.outcomes[str(verdict.status or verdict.outcome)] += 1
        if verdict.outcome == ACCEPTED:
            self.accepted += 1
            fast = warm_parser(case.settings)._fast
            if fast.parse(case.data, trusts(case.settings, case.peer)) is not None:
                self.fast += 1

    def summary(self) -> str:
        counts = ", ".join(f"{outcome} {count}" for outcome, count in sorted(self.outcomes.items()))
        return (f"{self.cases} cases: {counts}\n"
                f"of the accepted ones the fast way took {self.fast} and declined {self.accepted - self.fast}\n"
                f"{self.disagreeing} disagreements")


# Between releases of Gunicorn

def verdict_line(seed: int, index: int) -> str:
    """Return the verdict of gworkers on a case, in one word; ``none`` if this Gunicorn lacks its settings."""
    case = make_case(seed, index)
    if configuration(case.settings) is None:
        return "none"
    return gworkers_verdict(case, [case.data], warm_parser(case.settings)).line


def differ(found: str, expected: str) -> bool:
    """Return whether two verdicts differ in more than the choice among several faults."""
    if found == expected or "none" in (found, expected) or (found.isdigit() and expected.isdigit()):
        return False
    # Gunicorn 23 checks the sender of a PROXY line only when the line is complete.
    return (found, expected) != ("unfinished", "403")
