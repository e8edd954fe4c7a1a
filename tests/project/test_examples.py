"""The examples that need Flask only, started with the commands in README.md and examples/README.md."""

from __future__ import annotations

import contextlib
import re
import select
from http.client import HTTPConnection

import pytest

from support.examples import examples, get, hub_of, running
from support.paths import ROOT
from support.waiting import WAIT_LIMIT

pytest.importorskip("flask")
pytestmark = pytest.mark.smoke

#: The Gunicorn commands in the README, by hub.
README = {
    hub_of(command): command
    for command in re.findall(r"^(?:.*&& )?\.venv/bin/(gunicorn .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
}

#: Those of the first table, by directory.
EXAMPLES = {name: example for name, example in examples().items() if not example.needs}


def check(address: tuple[str, int]) -> None:
    assert get(address, "/") == (200, "Hello, world!\n")
    assert get(address, "/count") == (200, "1\n2\n3\n")
    assert get(address, "/nowhere")[0] == 404


def test_commands_in_the_readme_work(hub, tmp_path):
    # In another directory, so that Gunicorn imports the installed package, not the checkout.
    command = README[hub].replace("examples/", f"{ROOT}/examples/")
    with running(command, tmp_path, tmp_path / "log") as address:
        check(address)


def test_every_example_has_a_command():
    # Those of deployment are listed there. A paragraph describes tasks.
    known = sorted([*examples(), "deployment", "tasks"])
    assert known == sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_commands_of_the_examples_work(hub, name, tmp_path):
    example = EXAMPLES[name]
    if hub != example.hub:
        pytest.skip(f"an example for {example.hub}")
    with running(example.command, example.directory, tmp_path / "log") as address:
        check(address)


def test_waiting_request_does_not_block_another_one(hub, tmp_path):
    with contextlib.ExitStack() as stack:
        command = README[hub].replace("examples/", f"{ROOT}/examples/")
        address = stack.enter_context(running(command, tmp_path, tmp_path / "log"))
        slow, quick = (
            stack.enter_context(contextlib.closing(HTTPConnection(*address, timeout=WAIT_LIMIT))) for _ in range(2)
        )
        slow.request("GET", "/wait")
        quick.request("GET", "/")
        answered, _, _ = select.select([slow.sock, quick.sock], [], [], WAIT_LIMIT)
        assert quick.sock in answered
        assert quick.getresponse().read() == b"Hello, world!\n"
        assert slow.getresponse().read() == b"It was worth it.\n"
