"""What need not end the server: masters, files and forks that fail, processes that do not want to leave."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from deployment import Deployment
from gunicorn.arbiter import Arbiter
from held import Held
from launch import ANNOUNCE
from load import Load
from patience import gone, until
from server import WORKERS, Server, lives

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: Seconds that a master may take to start or to end, or several attempts to boot, on a machine with other work.
LONG = 40.0

REFUSED = r"\[ERROR\] .*The reload was refused"
FAILED = r"\[ERROR\] The reload has failed"


def reconfigure(server: Server, config: str) -> None:
    (server.directory / "gunicorn.conf.py").write_text(config + ANNOUNCE)
    server.signal(signal.SIGHUP)


def goes_on(server: Server, *workers: int) -> None:
    """The master is there, has these workers and no others, and they answer."""
    assert server.process.poll() is None
    assert server.worker_pids() == list(workers)
    answer = server.ask()
    assert (answer["parent"], answer["pid"] in workers) == (server.pid, True)


def renewed(server: Server, *old: int) -> int:
    """Wait until a reload has put one worker in the place of these; returns it."""
    gone(*old, limit=LONG)
    (new,) = server.worker_pids()
    goes_on(server, new)
    return new


# Another master


@pytest.fixture
def pidfile(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "pid"


def number(pidfile: Path) -> int | None:
    """The process id that the file has, if there is one."""
    try:
        return int(pidfile.read_text())
    except (FileNotFoundError, ValueError):
        return None


def second(pidfile: Path) -> Path:
    """The file of the second master, while there are two."""
    return Path(f"{pidfile}.2")


@contextmanager
def upgraded(server: Server, pidfile: Path) -> Iterator[int]:
    """The new master's process id, once its worker is ready."""
    since = len(server.lines)
    server.signal(signal.SIGUSR2)
    new = until(lambda: number(second(pidfile)), "the second pidfile", LONG)
    try:
        server.wait_for_log(r"^worker \d+ is ready$", LONG, since=since)
        yield new
    finally:
        with suppress(ProcessLookupError):
            os.kill(new, signal.SIGTERM)
        gone(new, limit=LONG)


@pytest.mark.only(transport="unix")
@pytest.mark.parametrize("error", ["LookupError('deliberate')", "SystemExit('deliberate')"])
def test_second_master_that_cannot_start(start: Start, pidfile: Path, tmp_path: Path, error: str) -> None:
    works = tmp_path / "works"
    config = f"import os\ndef pre_exec(server):\n    if not os.path.exists({str(works)!r}):\n        raise {error}\n"
    server = start("probe:app", "--pid", pidfile, config=config)
    (old,) = server.worker_pids()
    held = Held(server, tmp_path).running()
    with Load(server) as load:
        server.signal(signal.SIGUSR2)
        server.wait_for_log(r"\[ERROR\] Another master could not be started: .*deliberate")
        load.goes_on()
        held.let_go()
        assert held.answer()["pid"] == old
    assert not load.failures
    goes_on(server, old)
    assert len(server.log(r"\[ERROR\]")) == 1
    assert number(pidfile) == server.pid
    assert not second(pidfile).exists()

    # The way is free for the next one as soon as the master has heard of this one's end.
    works.touch()
    until(lambda: server.signal(signal.SIGUSR2) or number(second(pidfile)), "the second pidfile", LONG)
    new = number(second(pidfile))
    assert new is not None
    os.kill(new, signal.SIGTERM)
    gone(new, limit=LONG)
    goes_on(server, old)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not Path(str(server.address)).exists()
    assert not pidfile.exists()


def test_reload_of_the_second_master(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile)
    (old,) = server.worker_pids()
    with Load(server) as load, upgraded(server, pidfile) as new:
        (first,) = set(server.worker_pids()) - {old}
        os.kill(new, signal.SIGHUP)
        gone(first, limit=LONG)
        assert (number(pidfile), number(second(pidfile))) == (server.pid, new)
        server.signal(signal.SIGTERM)
        assert server.process.wait(LONG) == 0
        until(lambda: number(pidfile) == new, "the name is the new master's")
        assert not second(pidfile).exists()
        load.goes_on()
        assert server.ask()["parent"] == new
        load.__exit__(None, None, None)
    assert not load.failures
    assert not pidfile.exists()


@pytest.mark.parametrize("change", ["none", "reload", "reload without a pidfile"])
def test_old_master_that_is_killed(start: Start, pidfile: Path, change: str) -> None:
    """Until somebody has collected it its process id is still taken, and so is the name of its file."""
    config = f"pidfile = {str(pidfile)!r}\n"
    server = start("probe:app", config=config)
    (old,) = server.worker_pids()
    with upgraded(server, pidfile) as new:
        (first,) = set(server.worker_pids()) - {old}
        server.signal(signal.SIGKILL)
        server.wait_for_log(r"\[WARNING\] The pidfile is not there yet")
        gone(old)
        assert server.ask()["parent"] == new
        if change != "none":
            (server.directory / "gunicorn.conf.py").write_text((config if change == "reload" else "") + ANNOUNCE)
            os.kill(new, signal.SIGHUP)
            gone(first, limit=LONG)
        server.process.wait()
        if change == "reload without a pidfile":
            # The master looks once a second at least, and reloads again.
            first = server.ask()["pid"]
            os.kill(new, signal.SIGHUP)
            gone(first, limit=LONG)
        else:
            until(lambda: number(pidfile) == new, "the name is the new master's")
        assert server.ask()["parent"] == new
        assert not second(pidfile).exists()
        assert len(server.log("The pidfile is not there yet")) == 1
    assert number(pidfile) in (None, server.pid)


# The pidfile and the files of sockets


def test_reload_when_the_pidfile_has_gone_with_its_directory(start: Start, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile)
    (old,) = server.worker_pids()
    pidfile.unlink()
    pidfile.parent.rmdir()
    with Load(server) as load:
        server.signal(signal.SIGHUP)
        renewed(server, old)
        load.goes_on()
    assert not load.failures
    assert not server.log(r"\[ERROR\]")
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0


@pytest.mark.parametrize("place", ["nowhere/pid", "file/pid", "taken"])
def test_reload_with_a_pidfile_that_cannot_be(start: Start, pidfile: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").write_text(f"{os.getpid()}\n")
    server = start("probe:app", config=f"pidfile = {str(pidfile)!r}\n")
    (old,) = server.worker_pids()
    reconfigure(server, f"pidfile = {str(tmp_path / place)!r}\n")
    server.wait_for_log(r"\[ERROR\] The pidfile stays where it was: ")
    new = renewed(server, old)
    assert number(pidfile) == server.pid
    assert number(tmp_path / "taken") == os.getpid()

    # What comes next works.
    third = tmp_path / "the third"
    reconfigure(server, f"pidfile = {str(third)!r}\n")
    newer = renewed(server, new)
    assert (number(pidfile), number(third)) == (None, server.pid)
    reconfigure(server, "")
    renewed(server, newer)
    assert number(third) is None
    assert len(server.log(r"\[ERROR\]")) == 1


@pytest.mark.only(transport="unix")
def test_socket_file_that_somebody_has_removed(start: Start, tmp_path: Path) -> None:
    config = "from os import write\ndef on_exit(server):\n    write(2, b'on_exit is called\\n')\n"
    server = start("probe:app", config=config)
    (worker,) = server.worker_pids()
    held = Held(server, tmp_path).running()
    Path(str(server.address)).unlink()
    server.signal(signal.SIGTERM)
    held.let_go()
    assert held.answer()["pid"] == worker
    assert server.wait_for_exit() == 0
    assert server.log("^on_exit is called$")
    assert not lives(worker)


@pytest.fixture
def listeners(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two paths, short enough for sockets."""
    directory = tmp_path_factory.mktemp("s")
    return directory / "before", directory / "after"


def test_failed_reload_after_the_new_file_was_removed(start: Start, deployment: Deployment,
                                                      listeners: tuple[Path, Path]) -> None:
    before, after = listeners
    server = start("deployed:app", *deployment.options, bind=["from config"], config=f"bind = 'unix:{before}'\n")
    (old,) = server.worker_pids()
    deployment.release("sys.exit(1)\n")
    deployment.hold()
    reconfigure(server, f"bind = 'unix:{after}'\n")
    deployment.booting(1, but={old})
    after.unlink()
    deployment.let_go()
    server.wait_for_log(FAILED)
    goes_on(server, old)
    server.signal(signal.SIGTERM)
    assert server.wait_for_exit() == 0
    assert not before.exists()


def test_reload_after_the_old_file_was_removed(start: Start, deployment: Deployment,
                                               listeners: tuple[Path, Path]) -> None:
    before, after = listeners
    server = start("deployed:app", *deployment.options, bind=["from config"], config=f"bind = 'unix:{before}'\n")
    (old,) = server.worker_pids()
    deployment.hold()
    reconfigure(server, f"bind = 'unix:{after}'\n")
    deployment.booting(1, but={old})
    before.unlink()
    deployment.let_go()
    server.addresses = [str(after)]
    renewed(server, old)


# Workers that are none of ours, or cannot be had


@pytest.mark.parametrize("broken", ["sys.exit(3)", "del app", "raise LookupError('deliberate')"])
def test_broken_code_with_another_worker_class(start: Start, deployment: Deployment, hub: str, broken: str) -> None:
    """Nothing is known of such a worker but that it runs, so it replaces the one that works; yet it is tried again."""
    server = start("deployed:app", *deployment.options, worker_class="from config",
                   config=f"worker_class = '{WORKERS[hub]}'\n")
    (old,) = server.worker_pids()
    deployment.release(f"{broken}\n")
    reconfigure(server, "worker_class = 'sync'\n")
    deployment.booting(3, but={old})
    assert server.process.poll() is None
    deployment.release()
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=2)
    renewed(server, old)
    while "raise" in broken and server.unexpected_tracebacks():
        server.expect_traceback("LookupError: deliberate")


class Forks:
    """What becomes of the next processes that the master forks; all others can be forked.

    Attributes:
        config: for the configuration.
    """

    def __init__(self, plan: Path) -> None:
        self._plan = plan
        self.config = f"""
import errno, os
from pathlib import Path

def when_ready(server):
    fork, plan = os.fork, Path({str(plan)!r})
    def planned():
        left = plan.read_text().split()
        plan.write_text(" ".join(left[1:]))
        if left[:1] == ["fails"]:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()
    os.fork = planned
"""
        self.plan("")

    def plan(self, plan: str) -> None:
        """A word for each of the next: ``works`` or ``fails``."""
        self._plan.write_text(plan)


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path / "plan")


COULD_NOT = r"\[ERROR\] A worker could not be forked: \[Errno"


def test_first_worker_that_cannot_be_forked(start: Start, forks: Forks) -> None:
    forks.plan("fails")
    server = start("probe:app", config=forks.config)
    assert len(server.log(COULD_NOT)) == 1
    goes_on(server, *server.worker_pids())


@pytest.mark.parametrize(("plan", "said", "workers"), [
    ("fails", r"\[ERROR\] A process to rehearse the reload in could not be forked: .*refused", 0),
    ("works fails", FAILED, 1),
], ids=["rehearsal", "worker"])
def test_reload_that_cannot_fork(start: Start, forks: Forks, plan: str, said: str, workers: int) -> None:
    server = start("probe:app", config=forks.config)
    (old,) = server.worker_pids()
    with Load(server) as load:
        forks.plan(plan)
        server.signal(signal.SIGHUP)
        server.wait_for_log(said)
        assert len(server.log(COULD_NOT)) == workers
        load.goes_on()
        goes_on(server, old)
        server.signal(signal.SIGHUP)
        renewed(server, old)
    assert not load.failures


def test_successor_that_cannot_be_forked(start: Start, forks: Forks) -> None:
    server = start("probe:app", config=forks.config, workers=2)
    killed, staying = server.worker_pids()
    forks.plan("fails fails")
    os.kill(killed, signal.SIGKILL)
    server.wait_for_log(COULD_NOT)
    goes_on(server, staying)
    server.wait_for_log(r"^worker \d+ is ready$", LONG, count=3)
    assert len(server.log(COULD_NOT)) == 2
    goes_on(server, *server.worker_pids())


def test_second_master_that_cannot_be_forked(start: Start, forks: Forks, pidfile: Path) -> None:
    server = start("probe:app", "--pid", pidfile, config=forks.config)
    (old,) = server.worker_pids()
    forks.plan("fails")
    server.signal(signal.SIGUSR2)
    server.wait_for_log(r"\[ERROR\] Another master could not be started: ")
    goes_on(server, old)
    with upgraded(server, pidfile) as new:
        assert new != server.pid


@pytest.mark.parametrize("crash", ["os._exit(7)", "import signal; os.kill(os.getpid(), signal.SIGSEGV)"])
def test_application_that_crashes(start: Start, deployment: Deployment, crash: str) -> None:
    deployment.release(f"{crash}\n")
    server = start("deployed:app", *deployment.options, ready=False)
    assert server.wait_for_exit(LONG) == 3
    assert len(deployment.boots()) == 3
    assert server.log("Reason: No worker could boot")


# Rehearsals and signals


class Rehearsals:
    """A configuration that does not end loading while the test says so.

    Attributes:
        config: its text.
    """

    def __init__(self, directory: Path) -> None:
        self._flag, self._loads = directory / "hang", directory / "loads"
        self.config = f"""
import os, time
with open({str(self._loads)!r}, "a") as loads:
    loads.write(f"{{os.getpid()}}\\n")
while os.path.exists({str(self._flag)!r}):
    time.sleep(0.01)
"""

    def hang(self) -> None:
        self._flag.touch()

    def let_go(self) -> None:
        self._flag.unlink()

    def begun(self, server: Server) -> list[int]:
        """The processes, besides the master, that have begun to load it, in order."""
        return [int(line) for line in self._loads.read_text().split() if int(line) != server.pid]


@pytest.fixture
def rehearsals(tmp_path: Path) -> Rehearsals:
    return Rehearsals(tmp_path)


in_batches = pytest.mark.skipif(not hasattr(Arbiter, "wait_for_signals"), reason="this Gunicorn takes one by one")


@in_batches
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_behind_reloads(start: Start, rehearsals: Rehearsals, number: int) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.hang()
    server.signal(signal.SIGHUP)
    until(lambda: rehearsals.begun(server), "a rehearsal")
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    server.close_clients()
    server.signal(number)
    assert server.wait_for_exit() == 0
    assert len(rehearsals.begun(server)) == 1
    gone(*rehearsals.begun(server))


@in_batches
def test_stop_that_comes_with_a_reload(start: Start, rehearsals: Rehearsals) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.hang()
    for number in (signal.SIGSTOP, signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
        server.signal(number)
    assert server.wait_for_exit() == 0
    assert not rehearsals.begun(server)


@in_batches
def test_reloads_that_wait_are_one(start: Start, rehearsals: Rehearsals) -> None:
    server = start("probe:app", config=rehearsals.config)
    rehearsals.hang()
    server.signal(signal.SIGHUP)
    until(lambda: rehearsals.begun(server), "a rehearsal")
    for _ in range(3):
        server.signal(signal.SIGHUP)
        assert server.connect().request().status == 200
    # Handled after them, so that it is known when they have been.
    server.signal(signal.SIGUSR1)
    rehearsals.let_go()
    server.wait_for_log("Handling signal: usr1", LONG)
    assert len(rehearsals.begun(server)) == 2
    assert len(server.log("Handling signal: hup")) == 2


def test_master_that_is_killed_while_a_rehearsal_hangs(start: Start, rehearsals: Rehearsals) -> None:
    """Whoever connects is to be refused, rather than to wait for somebody who never comes."""
    server = start("probe:app", config=rehearsals.config)
    workers = server.worker_pids()
    rehearsals.hang()
    server.signal(signal.SIGHUP)
    (rehearsal,) = until(lambda: rehearsals.begun(server), "a rehearsal")
    server.signal(signal.SIGKILL)
    server.process.wait()
    gone(*workers)
    assert server.refuses()
    assert lives(rehearsal)
    os.kill(rehearsal, signal.SIGKILL)
    gone(rehearsal)


# Processes that do not want to leave

HANGING = {
    "exit handler": "import atexit\natexit.register(lambda: time.sleep(3600))\n",
    "thread": "import threading\nthreading.Thread(target=lambda: time.sleep(3600)).start()\n",
}

#: Without a timeout for those that do not beat, which would end them, too.
PATIENT = ("--graceful-timeout", 2, "--timeout", 0)


@pytest.mark.parametrize("kind", HANGING)
def test_worker_whose_end_hangs(start: Start, deployment: Deployment, kind: str) -> None:
    deployment.release(HANGING[kind])
    server = start("deployed:app", *deployment.options, *PATIENT)
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for_log(f"Worker exiting .*{old}")
    renewed(server, old)


@pytest.mark.parametrize("kind", HANGING)
def test_worker_that_boots_and_whose_end_hangs(start: Start, deployment: Deployment, tmp_path: Path,
                                               kind: str) -> None:
    server = start("deployed:app", *deployment.options, *PATIENT)
    (old,) = server.worker_pids()
    waits = tmp_path / "waits"
    deployment.release(f"{HANGING[kind]}Path({str(waits)!r}).touch()\nwhile True:\n    time.sleep(0.01)\n")
    server.signal(signal.SIGHUP)
    (superseded,) = deployment.booting(1, but={old})
    until(waits.exists, "it has what keeps it")
    deployment.release()
    server.signal(signal.SIGHUP)
    gone(superseded, limit=LONG)
    renewed(server, old)
