"""Slots of one file, written by one process and read by another one."""

from __future__ import annotations

import errno
import os
import struct

import pytest

from gworkers.shared_memory import DOCUMENT_SIZE, GROWTH, NUMBERS, SLOT_SIZE, MemoryFile, SlotCopy, slot_count


def test_lowest_free_slot_is_taken() -> None:
    memory = MemoryFile()
    slots = [memory.take(1) for _ in range(3)]
    assert [slot.index for slot in slots] == [1, 2, 3]
    memory.free(slots[1])
    assert [memory.take(1).index for _ in range(2)] == [2, 4]
    assert memory.take(0).index == 0


def test_file_grows() -> None:
    memory = MemoryFile()
    slots = [memory.take(1) for _ in range(GROWTH + 1)]
    assert slot_count(memory.fd) == 2 * GROWTH
    slots[0].set_flag(0, 1)
    slots[-1].set_flag(0, 2)
    assert [SlotCopy(memory.fd, index).flag(0) for index in (1, GROWTH, GROWTH + 1)] == [1, 0, 2]


def test_copy_has_what_was_written() -> None:
    memory = MemoryFile()
    slot, other = memory.take(1), memory.take(1)
    numbers = [float(number) for number in range(NUMBERS)]
    for document in (b"x" * DOCUMENT_SIZE, b"short", b""):
        with slot.writing():
            slot.set_numbers(numbers)
            slot.set_document(document)
        copy = SlotCopy(memory.fd, slot.index)
        assert (list(copy.numbers(NUMBERS)), copy.document, copy.whole) == (numbers, document, True)
        assert slot.document == document
    assert SlotCopy(memory.fd, other.index).numbers(2) == (0, 0)


def test_copy_of_a_slot_whose_writer_has_stopped_is_not_whole() -> None:
    memory = MemoryFile()
    slot = memory.take(1)
    context = slot.writing()
    context.__enter__()
    slot.set_numbers([1.0])
    copy = SlotCopy(memory.fd, slot.index)
    assert (copy.numbers(1), copy.whole) == ((1.0,), False)


def test_slot_that_a_killed_process_was_writing_can_be_written_again() -> None:
    memory = MemoryFile()
    slot = memory.take(1)
    pid = os.fork()
    if pid == 0:
        with slot.writing():
            os._exit(0)
    os.waitpid(pid, 0)
    assert not SlotCopy(memory.fd, slot.index).whole
    memory.free(slot)
    assert memory.take(1).index == slot.index
    assert SlotCopy(memory.fd, slot.index).whole


def test_taken_slot_is_clear() -> None:
    memory = MemoryFile()
    slot = memory.take(1)
    slot.set_flag(2, 1)
    with slot.writing():
        slot.set_numbers([1.0, 2.0])
        slot.set_document(b"text")
    memory.free(slot)
    copy = SlotCopy(memory.fd, memory.take(1).index)
    assert (copy.flag(2), copy.numbers(2), copy.document, copy.whole) == (0, (0, 0), b"", True)


def test_too_long_document_is_refused() -> None:
    slot = MemoryFile().take(1)
    with pytest.raises(ValueError, match="the most are"), slot.writing():
        slot.set_document(b"x" * (DOCUMENT_SIZE + 1))


def test_file_without_memfd_create(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    memory = MemoryFile()
    memory.take(1).set_flag(0, 7)
    assert SlotCopy(memory.fd, 1).flag(0) == 7
    assert os.fstat(memory.fd).st_nlink == 0


def test_memory_is_shared_with_children_where_no_file_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int, size: int) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(os, "ftruncate", fail)
    memory = MemoryFile()
    slot = memory.take(1)
    pid = os.fork()
    if pid == 0:
        slot.set_flag(0, 7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert slot.flag(0) == 7
    assert slot_count(memory.fd) == 0


def test_numbers_are_aligned() -> None:
    assert SLOT_SIZE % struct.calcsize("d") == 0
