"""The cache of valid response header fields."""

from __future__ import annotations

import pytest

from gworkers.http1 import response_head
from gworkers.http1.response_head import CACHED_LENGTH, FIELDS, field_line, interim_lines

pytestmark = pytest.mark.smoke


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    FIELDS.clear()


def test_valid_fields_are_cached() -> None:
    assert field_line(("Content-Length", "12")) == (b"Content-Length: 12\r\n", 12)
    assert field_line(("Connection", "close")) == (b"", None)
    assert FIELDS == {("Content-Length", "12"): (b"Content-Length: 12\r\n", 12), ("Connection", "close"): (b"", None)}


@pytest.mark.parametrize("field", [("Set-Cookie", "a=b"), ("set-cookie", "a=b"), ("X-Long", "x" * (CACHED_LENGTH + 1))])
def test_secrets_and_long_values_are_not_cached(field: tuple[str, str]) -> None:
    assert field_line(field)[0].endswith(f"{field[1]}\r\n".encode())
    assert FIELDS == {}


@pytest.mark.parametrize("field", [("X-A", "a\r\nb"), ("X A", "a"), ("Content-Length", "-1")])
def test_invalid_fields_are_not_cached(field: tuple[str, str]) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="response"):
            field_line(field)
    assert FIELDS == {}


def test_full_cache_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_head, "CACHE_SIZE", 2)
    for number in range(3):
        field_line(("X-Number", str(number)))
    assert list(FIELDS) == [("X-Number", "2")]


def test_interim_response_has_no_field_that_frames_a_body() -> None:
    fields = [("Content-Length", "5"), ("Link", "</a>"), ("Transfer-Encoding", "chunked"), ("X-A", "1")]
    for _ in range(2):
        assert interim_lines(fields) == b"Link: </a>\r\nX-A: 1\r\n"
