"""The signature of watched files, and the doorbell."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from gworkers.background import file_change
from gworkers.background.doorbell import Doorbell, Listener
from gworkers.background.file_change import signature_of

pytestmark = pytest.mark.smoke


def test_signature_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert signature_of(str(path)) == 0.0
    path.write_text("1")
    first = signature_of(str(path))
    assert first == signature_of(str(path)) > 0
    path.write_text("22")
    assert signature_of(str(path)) != first
    path.unlink()
    assert signature_of(str(path)) == 0.0


def test_signature_of_a_file_that_is_replaced_by_an_equal_one(tmp_path: Path) -> None:
    path, draft = tmp_path / "file", tmp_path / "draft"
    for each in (path, draft):
        each.write_text("1")
        os.utime(each, (1000, 1000))
    before = signature_of(str(path))
    draft.replace(path)
    assert signature_of(str(path)) != before


def test_signature_of_a_symbolic_link_is_that_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "file").write_text("1")
    link = tmp_path / "file"
    link.symlink_to("v1/file")
    before = signature_of(str(link))
    (tmp_path / "v1" / "file").write_text("22")
    assert signature_of(str(link)) != before


def test_signature_of_a_directory(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    signatures = [signature_of(str(tmp_path))]
    for change in (lambda: (inner / "a").write_text("1"), lambda: (inner / "a").write_text("22"),
                   lambda: (inner / "a").rename(inner / "b"), lambda: (inner / "b").unlink()):
        change()
        signatures.append(signature_of(str(tmp_path)))
    assert len(set(signatures)) == 5


def test_loop_of_symbolic_links_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    assert signature_of(str(tmp_path)) > 0


def test_signature_examines_a_bounded_number_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_change, "FILES", 3)
    for name in "abcdef":
        (tmp_path / name).write_text("1")
    os.utime(tmp_path, (1000, 1000))
    before = signature_of(str(tmp_path))
    (tmp_path / "f").write_text("22")
    assert signature_of(str(tmp_path)) == before
    (tmp_path / "b").write_text("22")
    assert signature_of(str(tmp_path)) != before


def is_woken(listener: Listener) -> bool:
    poll = select.poll()
    poll.register(listener.fd, select.POLLIN)
    return bool(poll.poll(0))


def close(listeners: list[Listener]) -> None:
    for listener in listeners:
        os.close(listener.fd)
        for fd in {*listener._pipe} - {listener.fd}:
            os.close(fd)


@pytest.fixture
def doorbell():
    doorbell = Doorbell(*os.pipe())
    yield doorbell
    for fd in doorbell.pipe:
        os.close(fd)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has epoll")
def test_ring_wakes_each_listener_once(doorbell: Doorbell) -> None:
    listeners = [Listener(doorbell, select.epoll()) for _ in range(3)]
    for _ in range(3):
        assert not any(map(is_woken, listeners))
        doorbell.ring()
        assert all(map(is_woken, listeners))
        listeners[0].clear()
        assert [is_woken(listener) for listener in listeners] == [False, True, True]
        doorbell.ring()
        assert all(map(is_woken, listeners))
        for listener in listeners:
            listener.clear()
    close(listeners)


@pytest.mark.parametrize("has_epoll", [False, pytest.param(True, marks=pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has epoll"))])
def test_wake_wakes_one_listener(doorbell: Doorbell, has_epoll: bool) -> None:
    listeners = [Listener(doorbell, select.epoll() if has_epoll else None) for _ in range(2)]
    listeners[0].wake()
    assert [is_woken(listener) for listener in listeners] == [True, False]
    listeners[0].clear()
    assert not is_woken(listeners[0])
    for _ in range(70_000):
        listeners[0].wake()
    assert is_woken(listeners[0])
    close(listeners)
