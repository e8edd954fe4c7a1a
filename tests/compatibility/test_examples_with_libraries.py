"""The examples that need libraries, started with the commands in examples/README.md."""

from __future__ import annotations

import pytest

from compatibility.results import missing
from support.examples import examples, get, running
from support.launch import WORKERS
from support.requirements import unavailable

EXAMPLES = {name: example for name, example in examples().items() if example.needs}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_command_of_the_example_works(hub, name, tmp_path):
    example = EXAMPLES[name]
    if missing(example.needs):
        unavailable(f"{', '.join(missing(example.needs))} is not installed: pip install -e '.[compatibility]'")
    if hub != example.hub and "GeventWorker" not in example.command:
        pytest.skip(f"its configuration is for {example.hub}")
    command = example.command.replace("gworkers.GeventWorker", WORKERS[hub])
    with running(command, example.directory, tmp_path / "log") as address:
        assert get(address, "/")[0] == 200
