"""An application that is deployed again and again, and the Gunicorn that serves it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from .clients import CLOSE_REQUEST, Address, Broken, connect
from .server import free_port

WAIT_LIMIT = 40.0
"""Seconds until a condition must be met."""
TRANSPORTS = ("tcp", "unix", "reuse_port")

#: Writes with a function that eventlet does not patch: it patches os.write.
CONFIGURATION = """
import io, os
def post_worker_init(worker):
    io.FileIO(2, "w", closefd=False).write(b"worker %d of %d has booted\\n" % (os.getpid(), os.getppid()))
"""

APPLICATION = """
import io, os, time
time.sleep({load!r})
io.FileIO(2, "w", closefd=False).write(b"{version} is loaded\\n")
{broken}
BODY = b"{version} %d" % os.getpid()
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
LEAKED = []
def app(environ, start_response):
    if {leak!r}:
        LEAKED.append(bytes(bytearray({leak!r})))
    start_response("200 OK", HEADERS[:])
    return [BODY]
"""


class ConditionNotMet(Exception):
    """A condition was not met in time; the message names it."""


async def until(condition: Callable[[], object], what: str, limit: float = WAIT_LIMIT) -> None:
    """Call *condition* repeatedly until it returns true. Raises ConditionNotMet."""
    deadline = monotonic() + limit
    while not condition():
        if monotonic() > deadline:
            raise ConditionNotMet(f"not in {limit:g} s: {what}")
        await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Engine:
    """A Gunicorn and a worker class."""

    gunicorn: Path
    """The program."""
    worker_class: str
    title: str = ""


@dataclass
class Deployment:
    """One server with its directory, from the start to the end of an ``async with``.

    It has exited when no process is left: all processes share the output pipe, which then ends.
    """

    engine: Engine
    transport: str
    """One of TRANSPORTS."""
    config: dict[str, object] = field(default_factory=dict)
    """Content of gunicorn.conf.py, in addition to what the transport needs."""
    environ: dict[str, str] = field(default_factory=dict)
    load: float = 0.0
    """Seconds that the application takes to be imported."""
    leak: int = 0
    """Bytes that the application leaks in each request."""

    def __post_init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gw"))
        self.addresses: list[Address] = [self._free_address(number) for number in range(2)]
        self.lines: list[str] = []
        self.exited = False
        self.version = 0
        self.configure(bind=[self.bind_value(0)], **self.config)
        self.deploy()

    # Deployment

    def deploy(self, broken: str = "") -> bytes:
        """Write the next version of the application, which runs the code *broken*. Return its first word."""
        self.version += 1
        text = APPLICATION.format(load=self.load, leak=self.leak, version=f"version-{self.version}", broken=broken)
        (self.directory / "deployed.py").write_text(text)
        return b"version-%d" % self.version

    def configure(self, **changes: object) -> None:
        """Write the configuration with *changes*."""
        self.config = {"worker_class": self.engine.worker_class, "control_socket_disable": True,
                       "reuse_port": self.transport == "reuse_port", **self.config, **changes}
        lines = [f"{name} = {value!r}" for name, value in self.config.items()]
        (self.directory / "gunicorn.conf.py").write_text("\n".join(lines) + CONFIGURATION)

    def _free_address(self, number: int) -> Address:
        return str(self.directory / f"listener{number}") if self.transport == "unix" else ("127.0.0.1", free_port())

    def bind_value(self, number: int) -> str:
        """One of the addresses in the syntax of ``bind``."""
        address = self.addresses[number]
        return f"unix:{address}" if isinstance(address, str) else "{}:{}".format(*address)

    # Start and stop

    async def __aenter__(self) -> Deployment:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("GWORKERS_", "GUNICORN_"))}
        # Python compares compiled code by the second, and versions change faster.
        environ.update({**self.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        self._process = await asyncio.create_subprocess_exec(
            str(self.engine.gunicorn), "deployed:app", cwd=self.directory, env=environ, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        self.master = self._process.pid
        self._reader = asyncio.create_task(self._read())
        try:
            await self.until(lambda: len(self.workers) == self.config.get("workers", 1), "the workers have booted")
            await self.until_answers(0)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def stop(self) -> float:
        """Stop all masters; return the seconds until no process is left. Raises ConditionNotMet."""
        begun = monotonic()
        for master in {self.master, *(master for _, master in self._booted())}:
            self.signal(signal.SIGTERM, master)
        await until(lambda: self.exited, "no process of the server is left")
        return monotonic() - begun

    async def _end(self) -> None:
        if not self.exited:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._reader
        await self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))
        self.exited = True

    # Signals and observation

    def signal(self, number: int, master: int | None = None) -> None:
        """Send a signal to *master*, by default to the newest one."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(master or self.master, number)

    def count(self, pattern: str) -> int:
        """How many lines of the output begin with *pattern*."""
        return sum(1 for line in self.lines if re.match(pattern, line))

    def _booted(self) -> list[tuple[int, int]]:
        found = (re.match(r"worker (\d+) of (\d+) has booted", line) for line in self.lines)
        return [(int(match[1]), int(match[2])) for match in found if match]

    @property
    def workers(self) -> list[int]:
        """The live workers that have booted, of all masters."""
        return [pid for pid, _ in self._booted() if is_alive(pid)]

    def masters(self) -> set[int]:
        """The masters of the live workers."""
        return {master for pid, master in self._booted() if is_alive(pid)}

    async def until(self, condition: Callable[[], object], what: str, limit: float = WAIT_LIMIT) -> None:
        """Wait for a condition. Raises ConditionNotMet if it is not met in time, and if the server has stopped."""
        await until(lambda: self.exited or condition(), what, limit)
        if not condition():
            raise ConditionNotMet(f"the server has stopped before this: {what}")

    async def until_answers(self, number: int) -> None:
        """Wait until one of the addresses serves."""
        deadline = monotonic() + WAIT_LIMIT
        while monotonic() < deadline:
            with contextlib.suppress(OSError, Broken, asyncio.TimeoutError):
                connection = await connect(self.addresses[number])
                try:
                    if (await asyncio.wait_for(connection.send(CLOSE_REQUEST), 5)).status == 200:
                        return
                finally:
                    connection.close()
            await asyncio.sleep(0.02)
        raise ConditionNotMet(f"not in {WAIT_LIMIT:g} s: a response at {self.bind_value(number)}")

    async def until_refuses(self, number: int) -> None:
        """Wait until one of the addresses refuses connections."""
        deadline = monotonic() + WAIT_LIMIT
        while monotonic() < deadline:
            try:
                (await connect(self.addresses[number])).close()
            except OSError:
                return
            await asyncio.sleep(0.02)
        raise ConditionNotMet(f"not in {WAIT_LIMIT:g} s: no listener at {self.bind_value(number)}")

    async def until_replaced(self, old_workers: list[int], workers: int) -> None:
        """Wait until there is this number of new workers, and none of *old_workers* is left."""
        await self.until(lambda: len(set(self.workers).difference(old_workers)) == workers, f"{workers} new workers")
        await self.until(lambda: not set(self.workers).intersection(old_workers), "the old workers have gone")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
