"""What must agree."""
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

#: Older parsers are not what gworkers must agree with; what they lack, verdicts.txt has.
NEWEST = tuple(map(int, gunicorn.__version__.split(".")[:2])) >= (27, 0)


def disagreements(case: Case) -> Iterator[str]:
    """Say in what the readers of *case* disagree."""
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
        # Gunicorn looks at how much has come without an end of the head when more comes.
        return gunicorn_verdict(case, [case.data, b"."])[:3] == ours[:3]
    if ours[:4] != theirs[:4]:
        return False
    return _bodies_agree(ours.body, theirs.body) and ours.rest == theirs.rest


def _bodies_agree(ours: tuple, theirs: tuple) -> bool:
    # Which of several faults is met first, the end of the bytes among them, is a matter of how far one looks ahead.
    return ours == theirs or {*ours[:1], *theirs[:1]} <= {REFUSED, UNFINISHED}


def _agree_in_pieces(parts: Verdict, whole: Verdict, theirs: Verdict | None) -> bool:
    if parts.outcome == REFUSED:
        # In an unfinished head a bare LF (400) and its size (431) may be met before faults that come first.
        refusals = [verdict for verdict in (whole, theirs) if verdict is not None and verdict.outcome == REFUSED]
        # So may the size of the request line (414), which only the newest Gunicorn confirms.
        early = (400, 431) if NEWEST else (400, 414, 431)
        return any(parts.status in (verdict.status, *early) for verdict in refusals)
    if parts[:4] != whole[:4]:
        return False
    return parts.outcome != ACCEPTED or (_bodies_agree(parts.body, whole.body) and parts.rest == whole.rest)


def shorten(text: str) -> str:
    """Leave out what is only long."""
    return re.sub(r"([a-z])\1{40,}", lambda match: f"<{match[1]} x {len(match[0])}>", text)


class Campaign:
    """Runs cases and counts."""

    def __init__(self) -> None:
        self.cases = 0
        self.outcomes: Counter[str] = Counter()
        self.accepted = 0
        self.fast = 0
        #: the first few, to be shown
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
    """What gworkers makes of a case, in one word; ``none`` if this release of Gunicorn has not its settings."""
    case = make_case(seed, index)
    if configuration(case.settings) is None:
        return "none"
    return gworkers_verdict(case, [case.data], warm_parser(case.settings)).line


def differ(found: str, expected: str) -> bool:
    """Whether two verdicts of different releases of Gunicorn differ in more than which of several faults is named."""
    if found == expected or "none" in (found, expected) or (found.isdigit() and expected.isdigit()):
        return False
    # Gunicorn 23 looks who sends a PROXY line only when it is complete.
    return (found, expected) != ("unfinished", "403")
