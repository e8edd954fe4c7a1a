"""The place of an error in findings and log lines."""

from __future__ import annotations

import json

import pytest

from gworkers.error_text import describe, location


def test_location_is_in_the_application_if_a_library_has_raised_the_error() -> None:
    with pytest.raises(ValueError, match="Expecting") as raised:
        json.loads("{")
    assert location(raised.value).startswith(f"{__file__}:")
    assert describe(raised.value).startswith("JSONDecodeError: Expecting")


def test_location_is_in_a_library_if_there_is_no_frame_of_the_application() -> None:
    with pytest.raises(ValueError, match="Expecting") as raised:
        json.loads("{")
    trace = raised.value.__traceback__
    assert trace is not None
    raised.value.__traceback__ = trace.tb_next
    assert location(raised.value).startswith(f"{json.decoder.__file__}:")
