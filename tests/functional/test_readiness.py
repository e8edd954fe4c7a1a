"""The readiness file exists while the server is ready."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.deployment import Deployment
from support.held_request import HeldRequest
from support.server import Server
from support.waiting import is_alive, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "ready"


def holds(file: Path, pid: int) -> None:
    until(lambda: file.exists() and file.read_text() == f"{pid}\n", f"{file} of {pid}")


def test_file_appears_when_a_worker_is_ready(start: Start, deployment: Deployment, file: Path) -> None:
    deployment.hold()
    server = start("deployed:app", *deployment.options, settings={"readiness_file": file}, ready=False)
    deployment.booting(1, but=set())
    assert not file.exists()
    deployment.let_go()
    holds(file, server.pid)
    assert server.ready().connect().request().status == 200
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert list(file.parent.iterdir()) == []


def test_file_is_removed_before_the_last_response(start: Start, file: Path, tmp_path: Path) -> None:
    server = start("probe:app", "--graceful-timeout", 60, settings={"readiness_file": file})
    holds(file, server.pid)
    held = HeldRequest(server, tmp_path).running()
    server.signal(signal.SIGTERM)
    until(lambda: not file.exists(), "the removal of the file")
    held.let_go()
    held.answer()
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT])
def test_file_is_removed_by_a_quick_stop(start: Start, file: Path, number: int) -> None:
    server = start("probe:app", settings={"readiness_file": file})
    holds(file, server.pid)
    server.signal(number)
    assert server.wait_for_exit() == 0
    assert not file.exists()


@pytest.mark.smoke
def test_file_stays_during_a_reload(start: Start, deployment: Deployment, file: Path) -> None:
    server = start("deployed:app", *deployment.options, settings={"readiness_file": file})
    (old,) = server.worker_pids()
    holds(file, server.pid)
    node = file.stat().st_ino
    deployment.hold()
    server.signal(signal.SIGHUP)
    (new,) = deployment.booting(1, but={old})
    assert file.stat().st_ino == node
    deployment.let_go()
    until(lambda: not is_alive(old), "the end of the old worker")
    assert server.worker_pids() == [new]
    # The same inode: it has never been removed.
    assert file.stat().st_ino == node


def test_file_is_removed_without_a_worker(start: Start, deployment: Deployment, file: Path) -> None:
    server = start("deployed:app", *deployment.options, settings={"readiness_file": file})
    (old,) = server.worker_pids()
    holds(file, server.pid)
    assert server.connect().request().status == 200
    deployment.hold()
    os.kill(old, signal.SIGKILL)
    until(lambda: not file.exists(), "the removal of the file")
    deployment.let_go()
    holds(file, server.pid)


def test_reload_adds_the_setting(start: Start, hub: str, file: Path) -> None:
    server = start("probe:app")
    path = server.directory / "gunicorn.conf.py"
    path.write_text(f"raw_env = ['GWORKERS_READINESS_FILE={file}']\n" + path.read_text())
    server.signal(signal.SIGHUP)
    holds(file, server.pid)


def test_file_that_cannot_be_written_is_logged_once(start: Start, file: Path) -> None:
    file.mkdir()
    (file / "child").touch()
    server = start("probe:app", settings={"readiness_file": file})
    server.wait_for_log(r"\[ERROR\] The readiness file cannot be written: ")
    assert server.connect().request().status == 200
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the end of the old worker")
    assert len(server.log("The readiness file cannot be written")) == 1


# Something else than a regular file at the path


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def put_directory(path: Path) -> None:
    path.mkdir()


def put_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("untouched")
    path.symlink_to(target)


def put_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.stat(os.devnull).st_rdev)
    except PermissionError:
        pytest.skip("only root can create devices")


KINDS = {"a FIFO": put_fifo, "a socket": put_socket, "a directory": put_directory, "a symbolic link": put_link,
         "a device": put_device}


def refused(kind: str) -> str:
    return (rf"\[ERROR\] The readiness file cannot be written: /.*/ready: it is {kind}, not a regular file\. "
            "Probes find the server not ready. Remove what is in the way, ")


@pytest.fixture
def short() -> Iterator[Path]:
    """Like ``file``, with a path that is short enough for a Unix socket."""
    directory = Path(tempfile.mkdtemp(prefix="gw"))
    yield directory / "ready"
    shutil.rmtree(directory)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(2)
def test_path_in_use_at_start(start: Start, short: Path, kind: str) -> None:
    KINDS[kind](short)
    before = short.lstat()
    server = start("probe:app", settings={"readiness_file": short})
    server.wait_for_log(refused(kind))
    assert server.connect().request().status == 200
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    until(lambda: not is_alive(old), "the end of the old worker")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert len(server.log("The readiness file")) == 1
    after = short.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    if kind == "a symbolic link":
        assert short.read_text() == "untouched"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(2)
def test_path_in_use_while_the_server_runs(start: Start, short: Path, kind: str) -> None:
    server = start("probe:app", settings={"readiness_file": short})
    holds(short, server.pid)
    short.unlink()
    KINDS[kind](short)
    server.wait_for_log(refused(kind))
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert os.path.lexists(short)


def test_file_is_written_once_its_path_is_free(start: Start, file: Path) -> None:
    os.mkfifo(file)
    server = start("probe:app", settings={"readiness_file": file})
    server.wait_for_log(refused("a FIFO"))
    file.unlink()
    holds(file, server.pid)
    # It is logged again after the file has been written.
    file.unlink()
    os.mkfifo(file)
    server.wait_for_log(refused("a FIFO"), count=2)


def test_planted_links_are_not_followed(start: Start, file: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    server = start("probe:app")
    # Other users can read the process id, and the path after the reload.
    file.with_name(f"{file.name}.{server.pid}").symlink_to(victim)
    path = server.directory / "gunicorn.conf.py"
    path.write_text(f"raw_env = ['GWORKERS_READINESS_FILE={file}']\n" + path.read_text())
    server.signal(signal.SIGHUP)
    holds(file, server.pid)
    assert victim.read_text() == "untouched"
    assert stat.S_ISREG(file.lstat().st_mode)
    assert stat.S_IMODE(file.lstat().st_mode) & ~0o644 == 0


def test_failing_writes_leave_nothing_behind(start: Start, file: Path) -> None:
    """The file system may be full, for instance. Each second the master tries again."""
    server = start("probe:app", settings={"readiness_file": file}, config=(
        "import os, posix\n"
        "def replace(*args):\n    raise OSError(28, 'No space left on device')\n"
        "os.replace = replace\n"))
    server.wait_for_log(r"The readiness file cannot be written: .*: No space left on device\.")
    server.signal(signal.SIGTTIN)
    server.wait_for_log(r"^worker \d+ is ready$", count=2)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert list(file.parent.iterdir()) == []
    assert len(server.log("The readiness file")) == 1


@pytest.mark.parametrize("stays", ["new", "old"])
def test_file_of_two_masters(start: Start, file: Path, stays: str) -> None:
    config = "from os import getpid, write\ndef pre_exec(server):\n    write(2, b'pre_exec in %d\\n' % getpid())\n"
    server = start("probe:app", config=config, settings={"readiness_file": file})
    holds(file, server.pid)
    server.signal(signal.SIGUSR2)
    new = int(server.wait_for_log(r"^pre_exec in (\d+)$")[1])
    try:
        holds(file, new)
        if stays == "new":
            server.signal(signal.SIGTERM)
            assert server.process.wait(30) == 0
            holds(file, new)
            os.kill(new, signal.SIGTERM)
            until(lambda: not is_alive(new), "the end of the new master")
            assert not file.exists()
        else:
            os.kill(new, signal.SIGTERM)
            until(lambda: not is_alive(new), "the end of the new master")
            holds(file, server.pid)
    finally:
        with suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        until(lambda: not is_alive(new), "the end of the new master", 30)
