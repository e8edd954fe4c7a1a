"""The file that workers share: owners of handlers, and messages of signals."""

from __future__ import annotations

import json
import os
import posix
import resource
import signal
from collections.abc import Iterator
from threading import Lock
from time import monotonic
from types import SimpleNamespace
from typing import Callable

import pytest

from gworkers.background import shared_file
from gworkers.background.messages import END, HEADER, PAYLOAD_SIZE, RING_SIZE, ROOM, Messages, key_of
from gworkers.background.shared_file import LIFETIME, MESSAGES, VARIABLE, SharedFile
from gworkers.background.signals import SignalMessages
from gworkers.errors import SendError

pytestmark = pytest.mark.smoke

KEY, OTHER = key_of("key"), key_of("other")


@pytest.fixture
def file() -> Iterator[SharedFile]:
    file = SharedFile()
    file.open()
    yield file
    for fd in (file.fd, *file.doorbell.pipe):
        os.close(fd)


@pytest.fixture
def messages(file: SharedFile) -> Messages:
    return Messages(file, Lock())


def in_child(function: Callable[[], object]) -> object:
    """What the function returns in a forked process: a number up to 100, or a truth value."""
    pid = os.fork()
    if not pid:
        status = 101
        try:
            status = int(function())  # type: ignore[call-overload]
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.WEXITSTATUS(status) <= 100
    return os.WEXITSTATUS(status)


# Entries


def test_entry_is_found_again(file: SharedFile) -> None:
    entry = file.entry(KEY, lambda: 5.0, reads_messages=False)
    assert entry.last == 5.0
    entry.last = 7.5
    assert file.entry(OTHER, lambda: 1.0, reads_messages=False).last == 1.0
    assert file.entry(KEY, lambda: 5.0, reads_messages=False).last == 7.5
    assert in_child(lambda: file.entry(KEY, lambda: 5.0, reads_messages=False).last == 7.5)


def test_entry_has_one_owner(file: SharedFile) -> None:
    entry = file.entry(KEY, lambda: 0.0, reads_messages=False)
    assert entry.acquire()
    assert entry.acquire()
    other = file.entry(OTHER, lambda: 0.0, reads_messages=False)
    assert not in_child(entry.acquire)
    assert in_child(other.acquire)
    entry.release()
    assert in_child(entry.acquire)
    # The lock of the child has ended with it.
    assert entry.acquire()


def test_forked_process_does_not_inherit_a_lock(file: SharedFile) -> None:
    entry = file.entry(KEY, lambda: 0.0, reads_messages=False)
    entry.acquire()

    def close() -> bool:
        os.close(file.fd)
        return True

    assert in_child(close)
    assert not in_child(entry.acquire)


def test_entry_is_not_added_while_another_process_adds_one(file: SharedFile) -> None:
    assert file.try_lock(shared_file.ENTRY_LOCK)
    assert in_child(lambda: file.entry(KEY, lambda: 0.0, reads_messages=False) is None)


def test_entries_that_no_worker_uses_make_room(file: SharedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_file, "COUNT", 8)
    for number in range(8):
        file.entry(number.to_bytes(16, "big") if number else KEY, float(number).__float__, reads_messages=False)
    with pytest.raises(OSError, match="more than 8 background handlers"):
        file.entry(OTHER, lambda: 0.0, reads_messages=False)
    used = file.entry(KEY, lambda: 0.0, reads_messages=False)
    now = monotonic() + LIFETIME + 1
    monkeypatch.setattr(shared_file, "monotonic", lambda: now)
    used.touch()
    assert file.entry(OTHER, lambda: 3.0, reads_messages=False).last == 3.0
    assert file.entry(KEY, lambda: 1.0, reads_messages=False).last == 0.0


def test_second_master_inherits_the_file(file: SharedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.entry(KEY, lambda: 5.0, reads_messages=False)
    environ: dict[str, str] = {}
    with file.left_to_second_master(environ):
        assert all(os.get_inheritable(fd) for fd in (file.fd, *file.doorbell.pipe))
        monkeypatch.setenv(VARIABLE, environ[VARIABLE])
    assert not environ
    assert not any(os.get_inheritable(fd) for fd in (file.fd, *file.doorbell.pipe))
    second = SharedFile()
    second.open()
    assert VARIABLE not in os.environ
    assert second.fd == file.fd
    assert second.entry(KEY, lambda: 0.0, reads_messages=False).last == 5.0


@pytest.mark.parametrize("value", ["", "x", "1", "1,2", "-1,-1,-1", "9999,9998,9997"])
def test_variable_from_outside_is_ignored(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    file = SharedFile()
    file.open()
    assert file.entry(KEY, lambda: 5.0, reads_messages=False).last == 5.0
    for fd in (file.fd, *file.doorbell.pipe):
        os.close(fd)


# Messages


def add(messages: Messages, payload: bytes, key: bytes = KEY) -> None:
    messages.add(key, payload, lambda: None)


def read_all(messages: Messages, position: int, key: bytes = KEY) -> tuple[list[bytes], int]:
    found = []
    while (message := messages.read(position, key, 100)).payload is not None:
        found.append(message.payload)
        position = message.end
    return found, message.end


def test_messages_are_read_in_their_order(messages: Messages) -> None:
    assert messages.end == 0
    for number in range(3):
        add(messages, b"%d" % number)
        add(messages, b"other %d" % number, OTHER)
    assert read_all(messages, 0) == ([b"0", b"1", b"2"], messages.end)
    assert read_all(messages, 0, OTHER)[0] == [b"other 0", b"other 1", b"other 2"]
    assert in_child(lambda: len(read_all(messages, 0)[0])) == 3
    assert messages.read(0, key_of("third"), 2).end < messages.end


def test_messages_continue_at_the_beginning_of_the_ring(messages: Messages) -> None:
    position, size = 0, 70_001
    for number in range(100):
        payload = b"%d" % number + bytes(size)
        add(messages, payload)
        assert read_all(messages, position)[0] == [payload]
        position = messages.end
    assert messages.end > 6 * RING_SIZE


def test_message_that_was_not_read_is_kept(file: SharedFile, messages: Messages) -> None:
    reader = file.entry(KEY, lambda: float(messages.end), reads_messages=True)
    file.entry(OTHER, lambda: 0.0, reads_messages=False)
    count = ROOM // (PAYLOAD_SIZE + HEADER.size)
    for number in range(count):
        add(messages, b"%d" % (number % 10) * PAYLOAD_SIZE)
    with pytest.raises(SendError, match="the 1024 KiB for messages are full"):
        add(messages, bytes(PAYLOAD_SIZE))
    found, end = read_all(messages, int(reader.last))
    assert [payload[:1] for payload in found] == [b"%d" % (number % 10) for number in range(count)]
    reader.last = end
    add(messages, bytes(PAYLOAD_SIZE))


def test_reader_that_no_worker_has_holds_back_nothing(file: SharedFile, messages: Messages,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    file.entry(KEY, lambda: 0.0, reads_messages=True)
    now = monotonic() + LIFETIME + 1
    monkeypatch.setattr(shared_file, "monotonic", lambda: now)
    for _ in range(40):
        add(messages, bytes(PAYLOAD_SIZE))
    assert messages.end > RING_SIZE


def test_reader_notices_lost_messages(messages: Messages) -> None:
    for _ in range(40):
        add(messages, bytes(PAYLOAD_SIZE))
    with pytest.raises(LookupError):
        read_all(messages, 0)


def test_message_that_does_not_fit_into_the_file_is_not_added(messages: Messages) -> None:
    def add_until_full() -> bool:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MESSAGES + 1500, MESSAGES + 1500))
        add(messages, b"x" * 1000)
        with pytest.raises(SendError, match="leaves no room"):
            add(messages, b"x" * 1000)
        return read_all(messages, 0) == ([b"x" * 1000], messages.end)

    assert in_child(add_until_full) == 1


def test_killed_sender_destroys_no_message_that_is_kept(messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    size = PAYLOAD_SIZE // 2
    count = ROOM // (size + HEADER.size)
    for number in range(100):
        add(messages, b"%03d" % number * (size // 3))
    kept = messages.end - count * (size // 3 * 3 + HEADER.size)

    def write(fd: int, data: bytes, offset: int) -> int:
        if offset == END:
            raise InterruptedError
        return posix.pwrite(fd, data, offset)

    with monkeypatch.context() as patched:
        patched.setattr("gworkers.background.messages.posix", SimpleNamespace(pread=posix.pread, pwrite=write))
        with pytest.raises(InterruptedError):
            add(messages, b"x" * PAYLOAD_SIZE)
    found = read_all(messages, kept)[0]
    assert [payload[:3] for payload in found] == [b"%03d" % number for number in range(100 - count, 100)]
    assert not any(b"x" in payload for payload in found)


def test_sender_waits_for_other_processes(file: SharedFile, messages: Messages,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.try_lock(shared_file.MESSAGE_LOCK)
    monkeypatch.setattr("gworkers.background.messages.PATIENCE", 0.01)

    def is_refused() -> bool:
        try:
            add(messages, b"1")
        except SendError:
            return True
        return False

    assert in_child(is_refused)
    file.unlock(shared_file.MESSAGE_LOCK)
    assert not in_child(is_refused)
    assert read_all(messages, 0)[0] == [b"1"]


def is_decoded(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except (RecursionError, ValueError):
        return False
    return True


#: Some interpreters have no limit that it exceeds.
NESTED = b"[" * 30_000 + b"]" * 30_000


@pytest.mark.parametrize("payload", [
    b"{", pytest.param(NESTED, marks=pytest.mark.skipif(is_decoded(NESTED), reason="this interpreter decodes it"))])
def test_payload_that_cannot_be_decoded_does_not_hold_back_the_next_one(messages: Messages, payload: bytes) -> None:
    errors: list[str] = []
    log = SimpleNamespace(error=lambda message, *args: errors.append(message % args))
    source = SignalMessages("key", messages, log)  # type: ignore[arg-type]
    add(messages, payload)
    add(messages, b"5")
    step = source.step(0)
    assert (step.is_due, step.wait) == (False, 0.0)
    assert f"its payload of {len(payload)} bytes cannot be decoded" in errors[0]
    assert source.step(step.last).arguments == (5,)
