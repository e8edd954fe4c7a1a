"""What workers share about changed code: one of them asks for a reload, and files with errors are watched."""

from __future__ import annotations

from time import time

import pytest

from gworkers.code_changes import SPACE, CodeChanges

pytestmark = pytest.mark.smoke


def test_first_worker_asks_for_a_reload() -> None:
    changes = CodeChanges()
    assert changes.claim(time(), time() - 1)
    assert not changes.claim(time(), time() - 1)


def test_change_before_the_reload_began_is_a_part_of_it() -> None:
    changes = CodeChanges()
    changed, looked = time() - 0.5, time() - 1
    changes.begin_reload()
    assert not changes.claim(changed, looked), "the new workers load the changed code"
    assert changes.claim(time() + 0.5, looked), "it was changed later"


def test_other_clock_of_a_file_system_hides_no_change() -> None:
    changes = CodeChanges()
    changes.begin_reload()
    assert changes.claim(changed=0.0, looked=time() + 0.5)


def test_file_is_newer_than_the_last_reload() -> None:
    changes = CodeChanges()
    assert not changes.is_newer(time()), "there was no reload"
    changes.begin_reload()
    assert changes.is_newer(time() + 0.5)
    assert not changes.is_newer(time() - 0.5)


def test_blamed_files_are_remembered() -> None:
    changes = CodeChanges()
    assert changes.blamed == []
    changes.blame(["/srv/shop.py", "/srv/\udcff.py"])
    assert changes.blamed == ["/srv/shop.py", "/srv/\udcff.py"]
    assert changes.claim(time(), time())
    assert changes.blamed == ["/srv/shop.py", "/srv/\udcff.py"]
    changes.begin_reload()
    changes.blame(["/" + "x" * SPACE, "/srv/cart.py"])
    assert changes.blamed == ["/srv/cart.py"], "the first name is too long"
