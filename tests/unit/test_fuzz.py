"""A short run of the fuzz test; ``python -m tests.fuzz`` runs it for longer."""

from __future__ import annotations

import pytest

from fuzz.campaign import NEWEST, Campaign, differ, verdict_line
from support.paths import TESTS

pytestmark = pytest.mark.smoke

#: Written under Gunicorn 27.0.1 by ``python -m tests.fuzz --seed 0 --cases 3000 --dump tests/fuzz/verdicts.txt``.
VERDICTS = TESTS / "fuzz" / "verdicts.txt"


def test_readers_agree():
    campaign = Campaign()
    campaign.run(seed=1, indices=range(4000))
    assert not campaign.found, "\n\n".join(campaign.found)
    assert campaign.cases > 3000
    # It must reach what it is there for.
    assert campaign.accepted > 800
    assert campaign.fast > 500
    for status in ("400", "403", "414", "417", "431", "501", "unfinished"):
        assert campaign.outcomes[status] > 10, status


def test_verdicts_are_those_of_the_newest_release():
    expected = VERDICTS.read_text().splitlines()
    found = [verdict_line(0, index) for index in range(len(expected))]
    assert len(found) == 3000
    assert [(index, *pair) for index, pair in enumerate(zip(found, expected)) if differ(*pair)] == []
    if NEWEST:
        assert found == expected
