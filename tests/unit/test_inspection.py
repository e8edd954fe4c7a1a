"""What ``gworkers stacks`` and ``gworkers profile`` print and write, from the responses of workers."""

from __future__ import annotations

import pytest

from gworkers.inspection import stacks
from gworkers.inspection.control_client import ControlError
from gworkers.inspection.flame_files import collapsed, content_for
from gworkers.inspection.profile import ROWS, lines_of
from gworkers.watch.control_address import ControlAddress

#: A path and a function with characters that control a terminal.
PATH, FUNCTION = "GET /\x1b[31m\x9b1m\n", "f;\x07\ng"
PROFILE = {"seconds": 2.0, "samples": 200, "idle": 1.0, "cpu": 0.5, "functions": [[FUNCTION, "a\x1b.py", 3]],
           "stacks": [[PATH, [0], 0.5], ["(hub)", [], 0.5]], "paths": [[PATH, 2, 0.5, 0.4]]}


def is_safe(text):
    return all(char.isprintable() or char == "\n" for char in text)


def test_profile_escapes_control_characters():
    text = "\n".join(lines_of({1: PROFILE}))
    assert is_safe(text)
    assert "GET /\\x1b[31m\\x9b1m\\n" in text


def test_collapsed_stacks_have_one_line_each():
    lines = list(collapsed({1: PROFILE}))
    assert lines == [r"worker 1;GET /\x1b[31m\x9b1m\n;f,\x07\ng (a\x1b.py:3) 500", "worker 1;(hub) 500"]
    assert content_for("x.txt", {1: PROFILE}) == "".join(f"{line}\n" for line in lines)


def test_times_of_workers_are_added():
    other = {**PROFILE, "paths": [[PATH, 3, 1.0, 0.2], ["(outside of requests)", 0, 0.1, 0.1]]}
    text = "\n".join(lines_of({1: PROFILE, 2: other}))
    (row,) = [line.split()[2:] for line in text.splitlines() if "GET" in line]
    assert row == ["5", "1.50", "s", "300.0", "ms", "400.0", "ms"]


def test_samples_replace_exact_times_that_are_missing():
    text = "\n".join(lines_of({1: PROFILE, 2: {**PROFILE, "paths": None}}))
    assert "Requests and stretches were not measured" in text
    assert "(hub)" in text
    assert "Per request" not in text


def test_table_has_a_limited_number_of_rows():
    paths = [[f"GET /{number}", 1, 1.0, 1.0] for number in range(ROWS + 5)]
    text = "\n".join(lines_of({1: {**PROFILE, "paths": paths}}))
    assert text.count("GET /") == ROWS
    assert "Further paths: 5." in text


def test_report_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(stacks, "ask", lambda *words: {name: [] for name in stacks.FIELDS - {"background"}})
    with pytest.raises(ControlError, match=r"another version of gworkers .* has no background\. Restart"):
        next(stacks.stacks_of(ControlAddress(1, "")))


def test_stacks_escape_control_characters(monkeypatch):
    report = {"requests": [{"method": "GET", "path": "/\x1b\n", "peer": "a\x9b", "age": 1.0, "state": "waiting",
                            "stack": "f\x1b\ng\x07"}],
              "request_count": 3, "greenlet_count": 5, "idle": 1, "queued": 2,
              "background": [{"name": "app:\x1b", "kind": "timer", "age": 1.0, "state": "waiting", "stack": "\x1b"}],
              "background_count": 1, "groups": [{"state": "waiting", "count": 4, "stack": "\x1b"}]}
    monkeypatch.setattr(stacks, "ask", lambda *words: report)
    text = "\n".join(stacks.stacks_of(ControlAddress(1, "")))
    assert is_safe(text)
    assert "GET /\\x1b\\n from a\\x9b, 1.0 s old, waiting\n  f\\x1b\n  g\\x07" in text
    assert "The newest 2 requests are not shown." in text
    assert "More greenlets with other stacks: 1." in text
    assert "2 requests wait for the hub" in text
