"""What a worker logs of asyncio tasks when it exits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gworkers.worker import drain


@pytest.mark.parametrize(("names", "lines"), [
    ([], []),
    (["wait", "wait"],
     ["Asyncio tasks that did not end when they were cancelled (pid:1): wait (2 times). The worker exits."])])
def test_only_tasks_that_exist_are_reported(names: list[str], lines: list[str]) -> None:
    """The loop may not have run yet when requests have used up ``graceful_timeout``."""
    logged: list[str] = []
    worker: Any = SimpleNamespace(
        pid=1, exit_if_asked=lambda: None,
        loop_runner=SimpleNamespace(cancel_tasks=lambda on_end: None, task_names=lambda: names),
        server=SimpleNamespace(log=SimpleNamespace(warning=lambda text, *args: logged.append(text % args))))
    drain._cancel_tasks(worker, 0.0)
    assert logged == lines
